//! Programs that do nothing, to know what calling a program costs.

use std::{fs, path::Path};

use aya::{
    Ebpf, EbpfLoader,
    programs::{CgroupAttachMode, CgroupSock, CgroupSockAddr, Program, ProgramError, SockOps},
};
use serde::{Deserialize, Serialize};

use crate::{
    attach::Hook,
    error::{MapError, OpenError},
    object::OBJECT,
};

const CONNECT: &str = "baseline4";
const RELEASE: &str = "baseline_release";
const OUTCOME: &str = "baseline_outcome";

/// Empty programs at `connect4`, `sock_release` and `sock_ops` of a cgroup, beside whatever is
/// there; gone when this is dropped.
#[derive(Debug)]
pub struct Baseline(Ebpf);

/// How often a program ran, and for how long, while run time was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Runs {
    /// Times that it ran.
    pub runs: u64,
    /// Nanoseconds that those runs took.
    pub run_time_ns: u64,
}

impl Runs {
    /// Those after an account that was read before.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { runs: self.runs - before.runs, run_time_ns: self.run_time_ns - before.run_time_ns }
    }
}

impl Baseline {
    /// Attaches the programs. They run after those that were attached before.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what is missing.
    pub fn attach(cgroup: &Path) -> Result<Self, OpenError> {
        let directory =
            fs::File::open(cgroup).map_err(OpenError::io("could not open cgroup", cgroup))?;
        let mut loader = EbpfLoader::new();
        // They use none of the object's maps, which are made all the same.
        for map in ["SERVICES4", "SERVICES6", "SERVICE_NAMES", "BACKENDS", "BACKEND_NAMES", "SLOTS"]
        {
            loader.map_max_entries(map, 2);
        }
        let mut object = loader.load(OBJECT).map_err(OpenError::load)?;
        let connect: &mut CgroupSockAddr = program(&mut object, CONNECT)?;
        connect
            .load()
            .and_then(|()| connect.attach(&directory, CgroupAttachMode::Single))
            .map_err(|error| OpenError::program(CONNECT, error))?;
        let release: &mut CgroupSock = program(&mut object, RELEASE)?;
        release
            .load()
            .and_then(|()| release.attach(&directory, CgroupAttachMode::Single))
            .map_err(|error| OpenError::program(RELEASE, error))?;
        let outcome: &mut SockOps = program(&mut object, OUTCOME)?;
        outcome
            .load()
            .and_then(|()| outcome.attach(&directory, CgroupAttachMode::Single))
            .map_err(|error| OpenError::program(OUTCOME, error))?;
        Ok(Self(object))
    }

    /// Kernel id of the empty program at a hook.
    ///
    /// # Errors
    ///
    /// Where it has none there, or the kernel does not tell.
    pub fn id(&self, hook: Hook) -> Result<u32, OpenError> {
        let name = match hook {
            Hook::Connect4 => CONNECT,
            Hook::SockRelease => RELEASE,
            Hook::TcpOutcome => OUTCOME,
            other => return Err(MapError::Missing { name: other.name() }.into()),
        };
        let program = self.0.program(name).ok_or(MapError::Missing { name })?;
        let info = program.info().map_err(|error| OpenError::program(name, error))?;
        Ok(info.id())
    }
}

fn program<'a, P>(object: &'a mut Ebpf, name: &'static str) -> Result<P, OpenError>
where
    P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = object.program_mut(name).ok_or(MapError::Missing { name })?;
    program.try_into().map_err(|error| OpenError::program(name, error))
}
