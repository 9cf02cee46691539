//! What the kernel says about the maps and programs themselves.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::Path,
};

use aya::{
    programs::{ProgramFd, loaded_programs},
    sys::{Stats, enable_stats},
};
use serde::Serialize;

use crate::{
    attach::Hook,
    baseline::Runs,
    error::MapError,
    maps::{NAMES, open},
    sys,
};

/// Memory of one map.
#[derive(Clone, Debug, Serialize)]
pub struct MapUsage {
    /// Its name.
    pub name: &'static str,
    /// Bytes of kernel memory, as `memlock` of its descriptor has them.
    pub bytes: u64,
}

/// Size and run time of one program.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramUsage {
    /// Its hook.
    pub hook: Hook,
    /// Kernel id.
    pub id: u32,
    /// Instructions that the verifier walked; none before Linux 5.16.
    pub verified_instructions: Option<u32>,
    /// Times that it ran while `kernel.bpf_stats_enabled` was on.
    pub runs: u64,
    /// Nanoseconds that those runs took.
    pub run_time_ns: u64,
}

/// The kernel counts runs of every program and their time for as long as this lives, as with
/// `kernel.bpf_stats_enabled`, at some 90 ns a run. The kernel itself ends it with the process.
///
/// # Minimum kernel version
///
/// 5.8
#[derive(Debug)]
pub struct RunTimeStats {
    _enabled: OwnedFd,
}

impl RunTimeStats {
    /// Begins to count.
    ///
    /// # Errors
    ///
    /// Without CAP_SYS_ADMIN, or on an older kernel.
    pub fn enable() -> io::Result<Self> {
        let enabled = enable_stats(Stats::RunTime).map_err(|error| error.io_error)?;
        Ok(Self { _enabled: enabled })
    }
}

/// The kernel's account of one program's runs.
#[derive(Debug)]
pub struct RunCounter(ProgramFd);

impl RunCounter {
    /// That of the program with this kernel id.
    ///
    /// # Errors
    ///
    /// Where there is no such program.
    pub fn of(id: u32) -> io::Result<Self> {
        let program = loaded_programs().filter_map(Result::ok).find(|program| program.id() == id);
        let program = program.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(program.fd().map_err(io::Error::other)?))
    }

    /// Runs so far, of all processors.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn runs(&self) -> io::Result<Runs> {
        let text = fs::read_to_string(fdinfo(&self.0))?;
        let number = |name| field(&text, name).ok_or(io::ErrorKind::InvalidData);
        Ok(Runs { runs: number("run_cnt:")?, run_time_ns: number("run_time_ns:")? })
    }
}

/// What the kernel says of a descriptor.
fn fdinfo(descriptor: impl AsFd) -> String {
    format!("/proc/self/fdinfo/{}", descriptor.as_fd().as_raw_fd())
}

/// A number of it.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

pub(crate) fn map_usage(set: &Path) -> Result<Vec<MapUsage>, MapError> {
    NAMES
        .into_iter()
        .map(|name| {
            let map = open(set, name)?;
            let text = fs::read_to_string(fdinfo(map.fd()))
                .map_err(|source| MapError::Mmap { name, source })?;
            Ok(MapUsage { name, bytes: field(&text, "memlock:").unwrap_or_default() })
        })
        .collect()
}

pub(crate) fn program_usage(pin: &Path) -> io::Result<Vec<ProgramUsage>> {
    let mut hooks = BTreeMap::new();
    for hook in Hook::ALL {
        let link = sys::object_get(&pin.join("links").join(hook.name()))?;
        hooks.insert(sys::link_target(link.as_fd())?.program, hook);
    }
    Ok(loaded_programs()
        .filter_map(Result::ok)
        .filter_map(|program| {
            Some(ProgramUsage {
                hook: *hooks.get(&program.id())?,
                id: program.id(),
                verified_instructions: program.verified_instruction_count(),
                runs: program.run_count(),
                run_time_ns: u64::try_from(program.run_time().as_nanos()).unwrap_or(u64::MAX),
            })
        })
        .collect())
}
