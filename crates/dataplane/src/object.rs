//! The kernel object and its programs.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::fd::{AsFd as _, BorrowedFd},
    panic::resume_unwind,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    programs::{Program, ProgramError},
};
use etm_abi::{BACKEND_NAME_LEN, LINE_SLOTS, MAX_REASONS, SERVICE_NAME_LEN, cells, name_parts};

use crate::{
    attach::Hook, btf::Offsets, dataplane::Config, error::OpenError, kernel::Helpers, maps::NAMES,
    tracepoint::Tracepoint,
};

pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("ETM_BPF_OBJECT"));

/// The constants that the programs are compiled with by the kernel.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Settings {
    service_mask: u32,
    node_netns: u64,
    refuse_unknown_port: bool,
    helpers: Helpers,
    /// Of `cgroup_path` 0 where the programs have to ask.
    offsets: Offsets,
}

impl Settings {
    pub(crate) fn new(config: &Config) -> Self {
        let helpers = Helpers::probe();
        let mut offsets = Offsets::read();
        if !helpers.task {
            offsets.cgroup_path = 0;
        }
        Self {
            service_mask: cells(config.limits.frontends) - 1,
            node_netns: config.node_netns,
            refuse_unknown_port: config.refuse_unknown_port,
            helpers,
            offsets,
        }
    }

    /// Whether a refused caller can be given an errno of our choice.
    pub(crate) const fn has_errno(&self) -> bool {
        self.helpers.set_retval
    }

    /// A number that is equal only for equal programs, settings included.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        OBJECT.hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// The programs, loaded and verified, not necessarily attached.
pub(crate) struct Programs(Ebpf);

impl Programs {
    /// Loads the programs over the maps pinned in a directory, making those that are missing.
    pub(crate) fn load(
        maps: &Path,
        config: &Config,
        settings: &Settings,
    ) -> Result<Self, OpenError> {
        // What a kernel's verifier thinks of a walk through its structs has changed over the years.
        let offsets = Offsets { cgroup_path: 0, ..settings.offsets };
        let asking = Settings { offsets, ..*settings };
        Self::verified(maps, config, settings).or_else(|error| {
            match (&error, settings.offsets.cgroup_path) {
                (OpenError::Program { .. }, 1..) => Self::verified(maps, config, &asking),
                _ => Err(error),
            }
        })
    }

    fn verified(maps: &Path, config: &Config, settings: &Settings) -> Result<Self, OpenError> {
        let flags = [
            u8::from(settings.refuse_unknown_port),
            u8::from(settings.helpers.set_retval),
            u8::from(settings.helpers.bpf_loop),
            u8::from(settings.helpers.mptcp),
        ];
        let mut loader = EbpfLoader::new();
        loader
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global("SERVICE_MASK", &settings.service_mask, true)
            .override_global("NODE_NETNS", &settings.node_netns, true)
            .override_global("REFUSE_UNKNOWN_PORT", &flags[0], true)
            .override_global("HAS_SET_RETVAL", &flags[1], true)
            .override_global("HAS_LOOP", &flags[2], true)
            .override_global("HAS_MPTCP", &flags[3], true)
            .override_global("CGROUP_PATH", &settings.offsets.cgroup_path, true)
            .override_global("SOCKET_READ", &settings.offsets.socket_read, true)
            .override_global("SOCKET_ERROR", &settings.offsets.socket_error, true)
            .override_global("TCP_SENT", &settings.offsets.tcp_sent, true)
            .map_max_entries("SERVICES4", cells(config.limits.frontends))
            .map_max_entries("SERVICES6", cells(config.limits.frontends))
            .map_max_entries("SERVICE_NAMES", name_parts(config.limits.names(), SERVICE_NAME_LEN))
            .map_max_entries("BACKENDS", config.limits.backends)
            .map_max_entries("BACKEND_NAMES", name_parts(config.limits.backends, BACKEND_NAME_LEN))
            .map_max_entries("REASONS", config.limits.backends.min(MAX_REASONS))
            .map_max_entries("CONNECTIONS", config.limits.backends)
            .map_max_entries("OUTCOMES", config.limits.backends)
            .map_max_entries("BUDGETS", config.limits.names())
            .map_max_entries("SLOTS", config.limits.slots.div_ceil(LINE_SLOTS))
            .map_max_entries("ROUTES", config.limits.routes)
            .map_max_entries("AFFINITY", config.clients);
        for name in NAMES {
            loader.map_pin_path(name, maps.join(name));
        }
        let mut programs = loader.load(OBJECT).map_err(OpenError::load)?;
        verify(&mut programs)?;
        Ok(Self(programs))
    }

    /// Descriptor of a tracepoint's program.
    pub(crate) fn at(&self, tracepoint: Tracepoint) -> Option<BorrowedFd<'_>> {
        Some(self.0.program(tracepoint.name())?.fd().ok()?.as_fd())
    }

    /// Descriptor and id of a hook's program.
    pub(crate) fn get(&self, hook: Hook) -> Option<(BorrowedFd<'_>, u32)> {
        let program = self.0.program(hook.name())?;
        Some((program.fd().ok()?.as_fd(), program.info().ok()?.id()))
    }
}

/// Has the kernel verify every program that is attached, on all processors: it takes no lock for that,
/// and the largest take as long as all the others together, so they are the first.
fn verify(programs: &mut Ebpf) -> Result<(), OpenError> {
    let mut programs: HashMap<_, _> = programs.programs_mut().collect();
    let ours = Tracepoint::ALL.map(Tracepoint::name).into_iter().chain(Hook::ALL.map(Hook::name));
    let queue = ours.map(|name| {
        let program = programs.remove(name).ok_or(ProgramError::NotLoaded);
        program.map(|program| (name, program)).map_err(|source| OpenError::program(name, source))
    });
    let queue = queue.collect::<Result<Vec<_>, _>>()?;
    let queue = Mutex::new(queue);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || -> Result<(), OpenError> {
        while let Some((name, program)) = next() {
            load(program).map_err(|source| OpenError::program(name, source))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others = thread::available_parallelism().map_or(1, usize::from) - 1;
        let others: Vec<_> = (0..others.min(Hook::ALL.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let verified = others.into_iter().map(|worker| {
            // After a panic in the thread, the same panic here.
            worker.join().unwrap_or_else(|cause| resume_unwind(cause))
        });
        verified.chain([own]).collect()
    })
}

fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::CgroupSock(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}
