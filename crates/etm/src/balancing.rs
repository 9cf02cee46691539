//! How a table's members are chosen, in the words of the verbs that show it.

use std::{fmt, time::Duration};

use etm_abi::{
    self as abi, ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, BACKEND_AVAILABLE,
    BACKEND_EJECTED, BACKEND_FREE, Backend,
};
use etm_model::HashField;
use serde::Serialize;

/// How a member is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Algorithm {
    Random,
    LeastConnections,
    ConsistentHash,
}

/// How the members of a table are chosen; written `hash(callerPod) + weights + affinity 10800s`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balancing {
    pub(crate) algorithm: Algorithm,
    /// What is hashed, in that order; empty where nothing is.
    pub(crate) fields: Vec<HashField>,
    /// Whether members have different weights.
    pub(crate) weighted: bool,
    /// For how long a client stays with its member; null where it does not.
    pub(crate) affinity_seconds: Option<u32>,
}

impl Balancing {
    /// What a table's header says; one without a header is drawn from evenly.
    pub(crate) fn of(header: Option<&abi::Balancing>) -> Self {
        let header = header.copied().unwrap_or_default();
        let (algorithm, bits) = match header.algorithm {
            ALGORITHM_LEAST_CONNECTIONS => (Algorithm::LeastConnections, 0),
            ALGORITHM_CONSISTENT_HASH => (Algorithm::ConsistentHash, header.fields),
            _ => (Algorithm::Random, 0),
        };
        Self {
            algorithm,
            fields: HashField::of_bits(bits).collect(),
            weighted: header.weighted != 0,
            affinity_seconds: (header.affinity != 0).then_some(header.affinity),
        }
    }
}

impl fmt::Display for Balancing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm {
            Algorithm::Random => f.write_str("random")?,
            Algorithm::LeastConnections => f.write_str("least connections")?,
            Algorithm::ConsistentHash => {
                let fields: Vec<_> = self.fields.iter().map(|field| field.name()).collect();
                write!(f, "hash({})", fields.join(", "))?;
            }
        }
        if self.weighted {
            f.write_str(" + weights")?;
        }
        if let Some(seconds) = self.affinity_seconds {
            write!(f, " + affinity {seconds}s")?;
        }
        Ok(())
    }
}

/// Whether new connections may be sent to a backend at a time of [`etm_dataplane::monotonic`], in a
/// word.
pub(crate) fn state(backend: &Backend, now: Duration) -> &'static str {
    let over = backend.until != 0 && Duration::from_nanos(backend.until) <= now;
    match backend.state {
        BACKEND_FREE => "absent",
        BACKEND_AVAILABLE => "available",
        // One that gets a connection now and then has got the first.
        BACKEND_EJECTED if over || backend.successes != 0 => "probation",
        BACKEND_EJECTED => "ejected",
        _ => "out",
    }
}

#[cfg(test)]
mod tests {
    use etm_abi::{ALGORITHM_RANDOM, BACKEND_OUT, HASH_CALLER_POD, HASH_SERVICE_PORT};

    use super::*;

    fn shown(algorithm: u8, fields: u8, weighted: u8, affinity: u32) -> String {
        let header = abi::Balancing { algorithm, fields, weighted, affinity, ..Default::default() };
        Balancing::of(Some(&header)).to_string()
    }

    #[test]
    fn each_state_has_its_word() {
        let now = Duration::from_secs(9);
        let until = |seconds: u64| seconds * 1_000_000_000;
        let ejected = Backend { state: BACKEND_EJECTED, until: until(10), ..Default::default() };
        assert_eq!(state(&ejected, now), "ejected");
        assert_eq!(state(&Backend { until: 0, ..ejected }, now), "ejected");
        assert_eq!(state(&Backend { until: until(8), ..ejected }, now), "probation");
        assert_eq!(state(&Backend { successes: 1, ..ejected }, now), "probation");
        let of = |state: u8| super::state(&Backend { state, ..Default::default() }, now);
        assert_eq!(
            [BACKEND_FREE, BACKEND_AVAILABLE, BACKEND_OUT].map(of),
            ["absent", "available", "out"]
        );
    }

    #[test]
    fn each_way_has_its_words() {
        assert_eq!(Balancing::of(None).to_string(), "random");
        assert_eq!(shown(ALGORITHM_RANDOM, 0, 1, 0), "random + weights");
        assert_eq!(
            shown(ALGORITHM_LEAST_CONNECTIONS, 0, 0, 60),
            "least connections + affinity 60s"
        );
        let fields = HASH_CALLER_POD | HASH_SERVICE_PORT;
        let hash = shown(ALGORITHM_CONSISTENT_HASH, fields, 1, 10_800);
        assert_eq!(hash, "hash(callerPod, servicePort) + weights + affinity 10800s");
    }
}
