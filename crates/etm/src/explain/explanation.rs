//! What is told of one call, in the names that `-o json` has.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use etm_model::{HashField, Protocol};
use serde::Serialize;

use crate::balancing::Balancing;

/// What becomes of a call, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    pub(super) result: Outcome,
    /// The result in words.
    pub(super) reason: String,
    /// Where it goes; only where `result` is `pod`.
    pub(super) destination: Option<Backend>,
    /// What the caller sees; only where `result` is `refused`.
    pub(super) errno: Option<u16>,
    pub(super) caller: Caller,
    pub(super) called: Called,
    /// Only where a route says who gets what.
    pub(super) route: Option<Route>,
    /// None where the address is no Service's, or not to this caller.
    pub(super) balancing: Option<Balancing>,
    /// Only for Services with session affinity that were asked who the client is.
    pub(super) affinity: Option<Affinity>,
    /// Only where a hash decides.
    pub(super) hash: Option<Hash>,
    /// Everyone who could be chosen, in the order of the table.
    pub(super) members: Vec<Member>,
    /// What has to be known besides, and what cannot be.
    pub(super) notes: Vec<String>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// It goes to one Pod, each time.
    Pod,
    /// It goes to one of the available members.
    OneOf,
    Refused,
    /// It is left alone.
    Passes,
}

/// A backend; written `shop/web-0 at 10.244.0.11:8080`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Backend {
    /// `namespace/name`; empty where the endpoint names none.
    pub(super) pod: String,
    pub(super) address: SocketAddr,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pod.is_empty() {
            return self.address.fmt(f);
        }
        write!(f, "{} at {}", self.pod, self.address)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Caller {
    /// `pod`, `node` or `unknown`.
    pub(super) kind: &'static str,
    /// `namespace/pod`, or the node's name; empty where it is unknown.
    pub(super) name: String,
    /// Of the family of the address that it calls, where one is known.
    pub(super) address: Option<IpAddr>,
    /// Id of its cgroup; 0 for the node.
    pub(super) cgroup_id: Option<u64>,
}

/// What is called.
#[derive(Debug, Serialize)]
pub(super) struct Called {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    /// `namespace/name:port/TCP`; none where the address is no Service's.
    pub(super) service: Option<String>,
    /// `everyone`, `node`, or ranges of addresses, as in `etm get services`.
    pub(super) callers: Option<String>,
}

/// What the caller gets of a Service with a route.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    /// The caller's number on this node; 0 for whoever is not known.
    pub(super) caller: u32,
    /// Its class: callers of one class get the same.
    pub(super) class: u32,
    /// Among what its calls are divided: a share, 0 to 1, and whoever could be chosen then. Only where
    /// there are several.
    pub(super) parts: Vec<Part>,
}

/// One of those among which calls are divided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) share: f64,
    pub(super) balancing: Balancing,
    /// None refuses.
    pub(super) members: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Affinity {
    /// For how long a client stays.
    pub(super) seconds: u32,
    /// Who the client is: the caller's address; none where the caller is unknown.
    pub(super) client: Option<IpAddr>,
    /// What is remembered of it.
    pub(super) entry: Option<AffinityEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AffinityEntry {
    #[serde(flatten)]
    pub(super) backend: Backend,
    /// Whole seconds since the client last made a connection.
    pub(super) age_seconds: u64,
    /// `kept`, or why not: `expired`, `out`, `no member`.
    pub(super) verdict: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hash {
    pub(super) fields: Vec<Field>,
    /// Keeps Services apart; hexadecimal, since not every reader of JSON has 64 bits.
    pub(super) salt: String,
    /// Where the hash falls; none where a field is not known, which makes it random.
    pub(super) position: Option<u32>,
    pub(super) positions: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) field: HashField,
    /// None where it is not known.
    pub(super) value: Option<String>,
    /// The number that is hashed for a name, hexadecimal.
    pub(super) number: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Member {
    #[serde(flatten)]
    pub(super) backend: Backend,
    /// `available`, `out` or `absent`.
    pub(super) state: &'static str,
    /// Its share beside those of the others; none where all are alike.
    pub(super) weight: Option<u16>,
    /// Open connections that were given to it by load; only for least connections.
    pub(super) connections: Option<u32>,
    /// Its part of the calls, 0 to 1; only where they are at random.
    pub(super) share: Option<f64>,
    /// Its place in the order in which the position is offered, from 1 on; only where a hash
    /// decides.
    pub(super) rank: Option<usize>,
}
