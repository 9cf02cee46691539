use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What callers see while no Pod of the Service is usable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Refusal {
    /// `ECONNREFUSED`, as of a closed port.
    #[default]
    ConnectionRefused,
    /// `EHOSTUNREACH`, as of a host that is gone.
    HostUnreachable,
    /// `ETIMEDOUT`, as after a long wait, but at once.
    TimedOut,
    /// `EPERM`, as of a firewall.
    PermissionDenied,
    /// While all Pods are ejected, calls go to all of them as if none were.
    Anyway,
}

/// What becomes of sockets that still point at a Pod once that is gone or ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StaleConnections {
    /// TCP connections.
    pub tcp: Stale,
    /// Connected UDP sockets.
    pub udp: Stale,
}

/// What becomes of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stale {
    /// It stays as it is.
    Keep,
    /// It is ended, so that its owner connects anew.
    End,
}

impl Default for StaleConnections {
    /// A TCP connection that is broken ends by itself; a UDP socket would send to nobody for ever.
    fn default() -> Self {
        Self { tcp: Stale::Keep, udp: Stale::End }
    }
}
