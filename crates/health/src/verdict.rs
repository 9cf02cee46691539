//! What is to be told of a backend.

use std::{sync::Arc, time::Duration};

use etm_model::{BackendKey, ObjectName, Percent, ServicePortName};
use serde::{Serialize, Serializer};

use crate::reason::Reason;

/// Whether a backend is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing speaks against it.
    Healthy,
    /// Something does, but it is used: too little, or it is spared.
    Suspect,
    /// It gets a connection now and then, to see whether it works again.
    Probation,
    /// It gets none.
    Ejected,
}

/// What all signals together say of one backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Which.
    pub backend: BackendKey,
    /// Its Pod, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<ObjectName>,
    /// The node that it is on, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    /// The Service ports that it is an endpoint of, in order.
    pub services: Vec<Arc<ServicePortName>>,
    /// What they come to.
    pub state: State,
    /// All that hold, with how long each has, the main one first.
    pub reasons: Vec<Held>,
    /// How long the main one has held.
    #[serde(rename = "sinceSeconds", serialize_with = "optional_seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Duration>,
    /// In how long it gets connections again, where time brings it back.
    #[serde(rename = "returnsInSeconds", serialize_with = "optional_seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<Duration>,
    /// How often it was ejected, as far as that counts.
    pub times: u32,
    /// Successes in a row in probation.
    pub successes: u8,
    /// Why it is used although a reason says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spared: Option<Spared>,
}

/// A reason and how long it has held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// How long.
    #[serde(rename = "sinceSeconds", serialize_with = "seconds")]
    pub since: Duration,
}

/// The Service port that has no more to spare: so much of it is out already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spared {
    /// Which.
    pub service: Arc<ServicePortName>,
    /// The largest share that may be out; none where `publishNotReadyAddresses` keeps all in.
    pub max_ejected_percent: Option<Percent>,
    /// So many members are that share.
    pub allowed: u32,
    /// Of so many.
    pub members: u32,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
fn optional_seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}
