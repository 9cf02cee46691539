//! Servers: what a Pod answers with.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::place::Place;
use crate::program::Program;
use crate::{Error, binary};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `testkit-pod`: HTTP on TCP ports, an echo on UDP ports, over IPv4 and IPv6. It ends
/// when this is dropped.
#[derive(Debug)]
#[must_use = "a server ends when its handle is dropped"]
pub struct Server {
    program: Program,
}

impl Server {
    /// Starts one and waits until it listens on every port.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`], for one when a port is taken.
    pub fn start(place: &Place, name: &str, tcp: &[u16], udp: &[u16]) -> Result<Self, Error> {
        Self::of(place, name, (tcp, udp), None)
    }

    /// The same, with an address where it asks in turn for each request over HTTP; it answers with what
    /// it was answered there as well.
    pub(crate) fn of(
        place: &Place,
        name: &str,
        (tcp, udp): (&[u16], &[u16]),
        relay: Option<&str>,
    ) -> Result<Self, Error> {
        let mut command = place.command(binary("testkit-pod")?);
        command.args(["--name", name]);
        command.args(relay.map(|address| format!("--relay={address}")));
        for (flag, ports) in [("--tcp", tcp), ("--udp", udp)] {
            for port in ports {
                command.arg(format!("{flag}={port}"));
            }
        }
        let mut program = Program::start("testkit-pod", command)?;
        program.ready(PATIENCE)?;
        Ok(Self { program })
    }

    /// Asks it to end, as a container runtime does first.
    pub(crate) fn terminate(&self) -> Result<(), Error> {
        self.program.signal(Signal::TERM)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.program.wait(Duration::ZERO).ok()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }
}
