//! The command line; `python/call.py` has the same.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Makes calls and prints one line of JSON for each.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// How to talk to the target.
    pub(crate) verb: Verb,
    /// Address and port, as `10.96.0.1:80` or `[fd00::1]:80`.
    pub(crate) target: SocketAddr,
    /// How many calls to make, one after the other.
    #[arg(long, default_value_t = 1)]
    pub(crate) count: u64,
    /// How to wait for the kernel.
    #[arg(long, value_enum, default_value_t = Runtime::Std)]
    pub(crate) runtime: Runtime,
    /// Reach an IPv4 target through an IPv6 socket.
    #[arg(long)]
    pub(crate) mapped: bool,
    /// Open TCP connections as MPTCP.
    #[arg(long)]
    pub(crate) mptcp: bool,
    /// Bind each socket to this local port.
    #[arg(long, value_name = "PORT")]
    pub(crate) local_port: Option<u16>,
    /// Make all calls on one connection.
    #[arg(long)]
    pub(crate) keep_open: bool,
    /// Keep one connected UDP socket, and connect it anew for each call.
    #[arg(long)]
    pub(crate) reconnect: bool,
    /// Make a call for each line of input, to the address on it if there is one.
    #[arg(long)]
    pub(crate) interactive: bool,
    /// How long each step may take, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    timeout_ms: u64,
}

impl Arguments {
    /// Whether a connected UDP socket is used again.
    pub(crate) fn keeps_datagram_socket(&self) -> bool {
        self.keep_open || self.reconnect
    }

    /// How long each step may take.
    pub(crate) fn timeout(&self) -> Duration {
        // Zero would mean to wait for ever.
        Duration::from_millis(self.timeout_ms.max(1))
    }
}

/// How to talk to the target.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verb {
    /// Connect, then send an HTTP request.
    Tcp,
    /// Connect a UDP socket, then send and receive.
    UdpConnected,
    /// Send and receive on one UDP socket that is never connected.
    UdpUnconnected,
}

/// How to wait for the kernel.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// In the system call.
    Std,
    /// In epoll, with non-blocking sockets.
    Tokio,
}
