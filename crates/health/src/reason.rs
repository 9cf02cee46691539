//! Why a backend is not simply healthy.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    service::Readiness,
    signal::{Failures, NodeFault, ProbeFailure},
};

/// One thing that speaks against a backend; in the order in which they count.
///
/// The earlier ones are surer, so where not all may be ejected, the later ones are spared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "signal", rename_all = "camelCase")]
pub enum Reason {
    /// What its conditions say: such an endpoint is a member only where there is no better one.
    Readiness {
        /// `NotReady` or `Terminating`.
        condition: Readiness,
    },
    /// Its node does not work.
    Node(NodeFault),
    /// A monitor says so.
    Monitor {
        /// The monitor's name.
        monitor: Arc<str>,
        /// What it says.
        message: Arc<str>,
    },
    /// Probes fail.
    Probe {
        /// So many in a row.
        failures: u32,
        /// How the last one did.
        last: ProbeFailure,
        /// Often enough to take it out.
        counts: bool,
    },
    /// The agent that ran before had taken it out.
    Found,
    /// Connections fail.
    Passive(Why),
    /// Some connections failed lately, too few to tell.
    Recent {
        /// So many.
        failures: u32,
        /// Of so many.
        connections: u32,
    },
    /// A caller fails with it alone.
    Alone(Failures),
}

/// What of its connections speaks against a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "rule", rename_all = "camelCase")]
pub enum Why {
    /// So many in a row failed.
    InRow(Failures),
    /// Too large a share failed.
    Share {
        /// So many.
        failures: u32,
        /// Of so many.
        connections: u32,
    },
    /// The agent that ran before knew; or the kernel, while none ran.
    Before,
}

impl Reason {
    /// Whether it takes a backend out where the share allows it.
    #[must_use]
    pub const fn ejects(&self) -> bool {
        match self {
            Self::Node(_) | Self::Monitor { .. } | Self::Found | Self::Passive(_) => true,
            Self::Probe { counts, .. } => *counts,
            Self::Readiness { .. } | Self::Recent { .. } | Self::Alone(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readiness { condition: Readiness::Terminating } => f.write_str("terminating"),
            Self::Readiness { .. } => f.write_str("not ready"),
            Self::Node(NodeFault { reason, message }) => write!(f, "node: {reason}: {message}"),
            Self::Monitor { monitor, message } => write!(f, "monitor {monitor}: {message}"),
            Self::Probe { failures, last, .. } => {
                write!(f, "{failures} probes in a row failed: {last}")
            }
            Self::Found => f.write_str("out already when the agent started"),
            Self::Passive(why) => why.fmt(f),
            Self::Recent { failures, connections } => {
                write!(f, "{failures} of {connections} connections failed lately")
            }
            Self::Alone(failures) => {
                write!(f, "one caller alone: {} failures in a row", failures.in_row)
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InRow(Failures { in_row, callers, .. }) => {
                write!(f, "{in_row} connections in a row failed, from {callers} callers")
            }
            Self::Share { failures, connections } => {
                write!(f, "{failures} of {connections} connections failed")
            }
            Self::Before => f.write_str("ejected already when the agent started"),
        }
    }
}
