//! Callers: clients in several runtimes, as real processes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::call::Call;
use crate::place::Place;
use crate::session::Session;
use crate::{Error, binary};

/// How a caller talks to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `connect`, then an HTTP request.
    Tcp,
    /// `connect` on a UDP socket, then `send` and `recvfrom`.
    UdpConnected,
    /// `sendto` and `recvfrom` on one socket that is never connected.
    UdpUnconnected,
}

/// What a caller is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Rust with blocking system calls.
    Std,
    /// Rust with tokio: non-blocking sockets and epoll.
    Tokio,
    /// Python with blocking system calls.
    Python,
}

/// Describes calls; [`calls`](Caller::calls) or [`session`](Caller::session) makes them.
#[derive(Clone, Debug)]
pub struct Caller {
    place: Place,
    protocol: Protocol,
    language: Language,
    mapped: bool,
    mptcp: bool,
    keep_open: bool,
    reconnect: bool,
    local_port: Option<u16>,
    timeout: Duration,
}

impl Caller {
    /// Calls from a place, in blocking Rust, waiting two seconds for each answer.
    #[must_use]
    pub fn new(place: &Place, protocol: Protocol) -> Self {
        Self {
            place: place.clone(),
            protocol,
            language: Language::Std,
            mapped: false,
            mptcp: false,
            keep_open: false,
            reconnect: false,
            local_port: None,
            timeout: Duration::from_secs(2),
        }
    }

    /// The language of the calling program.
    #[must_use]
    pub fn language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// Reaches IPv4 targets through IPv6 sockets, at `::ffff:a.b.c.d`.
    #[must_use]
    pub fn mapped(self) -> Self {
        Self { mapped: true, ..self }
    }

    /// Opens TCP connections as MPTCP.
    #[must_use]
    pub fn mptcp(self) -> Self {
        Self { mptcp: true, ..self }
    }

    /// Makes all calls on one connection; after a failure the next call opens another one.
    #[must_use]
    pub fn keep_open(self) -> Self {
        Self { keep_open: true, ..self }
    }

    /// Makes all calls on one connected UDP socket, which is connected anew for each of them.
    #[must_use]
    pub fn reconnect(self) -> Self {
        Self { reconnect: true, ..self }
    }

    /// Binds each socket to a local port before it is used.
    #[must_use]
    pub fn local_port(self, port: u16) -> Self {
        Self { local_port: Some(port), ..self }
    }

    /// How long each step of a call may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// One call; that it was refused is no error but its result.
    ///
    /// # Errors
    ///
    /// When the calling program itself fails.
    pub fn call(&self, target: SocketAddr) -> Result<Call, Error> {
        self.session(target)?.call()
    }

    /// Several calls, one after the other, by one process.
    ///
    /// # Errors
    ///
    /// When the calling program itself fails.
    pub fn calls(&self, target: SocketAddr, count: usize) -> Result<Vec<Call>, Error> {
        let mut command = self.command(target)?;
        command.arg(format!("--count={count}"));
        let output = command.output().map_err(Error::io("run a caller"))?;
        if !output.status.success() {
            return Err(Error::Command {
                command: format!("{command:?}"),
                status: output.status,
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        String::from_utf8_lossy(&output.stdout).lines().map(parse).collect()
    }

    /// A caller that stays and calls when it is told, so that the world can change in between.
    ///
    /// # Errors
    ///
    /// When the calling program cannot be started.
    pub fn session(&self, target: SocketAddr) -> Result<Session, Error> {
        let mut command = self.command(target)?;
        command.arg("--interactive");
        // Each step of a call has the timeout for itself.
        Session::start(command, self.timeout * 4 + Duration::from_secs(5))
    }

    fn command(&self, target: SocketAddr) -> Result<Command, Error> {
        let mut command = match self.language {
            Language::Std | Language::Tokio => self.place.command(binary("testkit-call")?),
            Language::Python => {
                // By its text: a path into the tree would be wrong in a binary that was moved.
                let mut command = self.place.command(python());
                command.args(["-c", include_str!("../python/call.py")]);
                command
            }
        };
        command.arg(match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::UdpConnected => "udp-connected",
            Protocol::UdpUnconnected => "udp-unconnected",
        });
        command.arg(target.to_string());
        command.arg(format!("--timeout-ms={}", self.timeout.as_millis()));
        if self.language == Language::Tokio {
            command.arg("--runtime=tokio");
        }
        if let Some(port) = self.local_port {
            command.arg(format!("--local-port={port}"));
        }
        for (wanted, flag) in [
            (self.mapped, "--mapped"),
            (self.mptcp, "--mptcp"),
            (self.keep_open, "--keep-open"),
            (self.reconnect, "--reconnect"),
        ] {
            if wanted {
                command.arg(flag);
            }
        }
        Ok(command)
    }
}

/// The system's Python before one of a version manager, whose start takes ten times as long.
fn python() -> &'static str {
    let system = "/usr/bin/python3";
    if Path::new(system).exists() { system } else { "python3" }
}

/// Reads one line of a caller's output.
pub(crate) fn parse(line: &str) -> Result<Call, Error> {
    serde_json::from_str(line).map_err(|source| Error::NotACall { line: line.to_owned(), source })
}
