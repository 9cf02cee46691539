//! A caller that waits between its calls.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::Error;
use crate::call::Call;
use crate::caller::parse;
use crate::program::Program;

/// A running caller with its sockets open; it calls when told, and ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    program: Program,
    patience: Duration,
}

impl Session {
    pub(crate) fn start(command: Command, patience: Duration) -> Result<Self, Error> {
        Ok(Self { program: Program::start("caller", command)?, patience })
    }

    /// Another call to the same target.
    ///
    /// # Errors
    ///
    /// When the calling program itself fails.
    pub fn call(&mut self) -> Result<Call, Error> {
        self.tell("")
    }

    /// A call to another target; an unconnected UDP socket stays the same one.
    ///
    /// # Errors
    ///
    /// When the calling program itself fails.
    pub fn call_to(&mut self, target: SocketAddr) -> Result<Call, Error> {
        self.tell(&target.to_string())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    fn tell(&mut self, line: &str) -> Result<Call, Error> {
        self.program.tell(line)?;
        match self.program.line(self.patience) {
            Ok(line) => parse(&line),
            Err(why) => Err(self.program.not_ready(why.to_string())),
        }
    }
}
