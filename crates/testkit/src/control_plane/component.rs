//! One program of a control plane, which can be ended and started again.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::programs::program;
use crate::place::Place;
use crate::program::Program;
use crate::{Cgroup, Error};

/// How long a program may take to end when asked to: an API server gives requests a minute.
const STOP: Duration = Duration::from_secs(90);

/// What to run, and the running program if there is one.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    path: PathBuf,
    arguments: Vec<OsString>,
    place: Place,
    running: Mutex<Option<Program>>,
}

impl Component {
    /// Describes a program that will run in a cgroup, and starts it.
    pub(super) fn start(
        name: &'static str,
        arguments: Vec<OsString>,
        cgroup: &Cgroup,
    ) -> Result<Self, Error> {
        let place = cgroup.place();
        let component =
            Self { name, path: program(name)?, arguments, place, running: Mutex::new(None) };
        component.start_again()?;
        Ok(component)
    }

    /// Starts it with the same arguments, unless it runs.
    pub(super) fn start_again(&self) -> Result<(), Error> {
        let mut running = self.running();
        if running.is_none() {
            // Killed with this process: unlike the testkit's own, it does not watch its input.
            let mut command = self.place.command("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path).args(&self.arguments);
            *running = Some(Program::start_bound(self.name, command)?);
        }
        Ok(())
    }

    /// Ends it with a signal and waits until it is gone; nothing happens if it does not run.
    pub(super) fn end(&self, signal: Signal) -> Result<(), Error> {
        let Some(mut program) = self.running().take() else { return Ok(()) };
        program.signal(signal)?;
        program.wait(STOP).map(drop)
    }

    /// An error if it is not running any more, with its last words.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &mut *self.running() {
            Some(program) => match program.wait(Duration::ZERO) {
                Ok(status) => Err(program.not_ready(status.to_string())),
                Err(_) => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The error of a program that runs, but does not do what it was started for.
    pub(super) fn not_ready(&self, why: &str) -> Option<Error> {
        self.running().as_ref().map(|program| program.not_ready(why.to_owned()))
    }

    /// Its process id while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.running().as_ref().map(Program::id)
    }

    fn running(&self) -> MutexGuard<'_, Option<Program>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
