//! What is told of an endpoint, in words.

use std::{collections::BTreeSet, fmt, sync::Arc};

use k8s_openapi::jiff::Timestamp;

use super::{Endpoint, Subject};

/// Something that the cluster is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// Of whom.
    pub subject: Subject,
    /// When the ejection began, which names it.
    pub since: Timestamp,
    /// The Services that it belongs to.
    pub services: BTreeSet<Arc<str>>,
    /// What.
    pub what: What,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It gets no connections.
    Ejected {
        /// On so many nodes, by what these found.
        nodes: usize,
        /// On all, by a monitor.
        everywhere: bool,
        /// Why, as the first one has it.
        message: Arc<str>,
    },
    /// It gets connections again, everywhere.
    Returned,
}

impl What {
    /// `reason` of the Event.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Ejected { .. } => "PodEjected",
            Self::Returned => "PodReturned",
        }
    }

    /// `action` of the Event.
    pub(super) const fn action(&self) -> &'static str {
        match self {
            Self::Ejected { .. } => "Eject",
            Self::Returned => "Return",
        }
    }

    /// `type` of the Event.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Ejected { .. } => "Warning",
            Self::Returned => "Normal",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejected { everywhere: true, message, .. } => {
                write!(f, "gets no connections from any node: {message}")
            }
            Self::Ejected { nodes: 1, message, .. } => {
                write!(f, "gets no connections from 1 node: {message}")
            }
            Self::Ejected { nodes, message, .. } => {
                write!(f, "gets no connections from {nodes} nodes: {message}")
            }
            Self::Returned => f.write_str("gets connections again from every node"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "Pod {name}"),
            Self::Address(address) => write!(f, "endpoint {address}"),
        }
    }
}
