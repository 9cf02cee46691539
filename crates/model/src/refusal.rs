//! What a caller sees of a Service without a usable Pod, and what becomes of sockets that were given
//! one before.

use serde::Serialize;

use crate::object::Protocol;

/// `TrafficPolicy.spec.refusal`: what callers see while no member is usable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Refusal {
    /// What a closed port answers, so what callers know how to handle.
    #[default]
    ConnectionRefused,
    /// As of a host that is gone.
    HostUnreachable,
    /// As after a long wait, but at once.
    TimedOut,
    /// As of a firewall.
    PermissionDenied,
    /// While all members are ejected, calls go to all of them as if none were.
    Anyway,
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::ConnectionRefused,
        Self::HostUnreachable,
        Self::TimedOut,
        Self::PermissionDenied,
        Self::Anyway,
    ];

    /// The errno on Linux; for [`Refusal::Anyway`] that of a Service that has no members at all.
    #[must_use]
    pub const fn errno(self) -> u16 {
        match self {
            // EPERM
            Self::PermissionDenied => 1,
            // ETIMEDOUT
            Self::TimedOut => 110,
            // ECONNREFUSED
            Self::ConnectionRefused | Self::Anyway => 111,
            // EHOSTUNREACH
            Self::HostUnreachable => 113,
        }
    }
}

/// What becomes of a socket that still points at a backend that is gone or ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Stale {
    /// It stays as it is.
    Keep,
    /// It is ended.
    End,
}

/// `TrafficPolicy.spec.staleConnections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StaleConnections {
    /// TCP connections.
    pub tcp: Stale,
    /// Connected UDP sockets.
    pub udp: Stale,
}

impl StaleConnections {
    /// What becomes of sockets of one protocol.
    #[must_use]
    pub const fn of(self, protocol: Protocol) -> Stale {
        match protocol {
            Protocol::Udp => self.udp,
            Protocol::Tcp | Protocol::Sctp => self.tcp,
        }
    }
}

impl Default for StaleConnections {
    /// A TCP connection that is broken ends by itself; a UDP socket would send to nobody for ever.
    fn default() -> Self {
        Self { tcp: Stale::Keep, udp: Stale::End }
    }
}
