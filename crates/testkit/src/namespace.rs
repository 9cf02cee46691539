//! Network namespaces.

use std::ffi::OsStr;
use std::process::Command;

use crate::place::Place;
use crate::{Error, ip, scratch, sweep};

/// A network namespace with `lo` up, nothing else, and no default route.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`, for one without the privilege.
    pub fn new() -> Result<Self, Error> {
        sweep::sweep();
        let namespace = Self { name: scratch::name() };
        ip::run(&["netns", "add", &namespace.name])?;
        ip::batch(&namespace.name, "link set lo up\n")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This namespace as a place for processes.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::namespace(&self.name)
    }

    /// A program that will run in this namespace.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.place().command(program)
    }

    /// Runs lines of `ip -batch` in this namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`.
    pub fn ip(&self, lines: &str) -> Result<(), Error> {
        ip::batch(&self.name, lines)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip::run(&["netns", "delete", &self.name]);
    }
}
