use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError as AyaMapError, programs::ProgramError};
use etm_model::FrontendKey;
use thiserror::Error;

use crate::attach::Hook;

/// Why the data path could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The process may not use BPF.
    #[error("no permission to use BPF: run as root with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    Permission,
    /// The pin directory is not on bpffs.
    #[error("{} is not on a BPF file system: mount one with `mount -t bpf bpf /sys/fs/bpf`", path.display())]
    NotBpffs {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The cgroup is not in a cgroup v2 hierarchy.
    #[error("{} is not a cgroup v2 directory: name one with --cgroup, or mount with `mount -t cgroup2 none /sys/fs/cgroup`", path.display())]
    NotCgroup2 {
        /// The directory asked for.
        path: PathBuf,
    },
    /// No cgroup v2 hierarchy is mounted.
    #[error(
        "no cgroup v2 hierarchy is mounted: mount one with `mount -t cgroup2 none /sys/fs/cgroup`, or name one with --cgroup"
    )]
    NoCgroup2,
    /// Another agent works on the same pins.
    #[error("another agent already serves {}: stop it first, or give this one another --pin directory and another --cgroup", path.display())]
    Locked {
        /// The pin directory.
        path: PathBuf,
    },
    /// Nothing is pinned there.
    #[error("no etm data path is pinned in {}: start one with `etm agent`, or name its directory with --pin", path.display())]
    Absent {
        /// The pin directory.
        path: PathBuf,
    },
    /// The pinned maps are of another version, and this call must not replace them.
    #[error("the maps in {} have layout version {found}, this etm understands {expected}: use the etm that made them, or start this one's agent, which replaces them", path.display())]
    Version {
        /// The pin directory.
        path: PathBuf,
        /// Their version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The kernel object or its maps could not be loaded.
    #[error("could not load the kernel programs")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused a map of the size asked for.
    #[error("the kernel has no room for map {map} in this size: lower {flag}")]
    Size {
        /// Its name.
        map: String,
        /// What sets its size.
        flag: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a program.
    #[error(
        "the kernel refused program {program}; it needs Linux 5.12 or later with CONFIG_CGROUP_BPF and CONFIG_BPF_SYSCALL"
    )]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        #[source]
        source: Box<ProgramError>,
    },
    /// A map could not be opened.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A file system operation failed.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn load(error: EbpfError) -> Self {
        if is_permission(&error) {
            return Self::Permission;
        }
        let flag = match &error {
            EbpfError::MapError(AyaMapError::CreateError { name, .. }) => sized_by(name),
            _ => None,
        };
        match (error, flag) {
            (
                EbpfError::MapError(AyaMapError::CreateError { name, io_error: source }),
                Some(flag),
            ) => Self::Size { map: name, flag, source },
            (error, _) => Self::Load(Box::new(error)),
        }
    }

    pub(crate) fn program(program: &'static str, source: ProgramError) -> Self {
        if is_permission(&source) {
            return Self::Permission;
        }
        Self::Program { program, source: Box::new(source) }
    }
}

/// Whether the kernel said EPERM; the verifier says EACCES.
fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.raw_os_error() == Some(libc::EPERM))
}

/// The flag that sets the size of a map.
fn sized_by(map: &str) -> Option<&'static str> {
    match map {
        "SERVICES4" | "SERVICES6" | "SERVICE_NAMES" | "BUDGETS" => Some("--max-frontends"),
        "BACKENDS" | "BACKEND_NAMES" | "REASONS" | "CONNECTIONS" | "OUTCOMES" => {
            Some("--max-backends")
        }
        "SLOTS" => Some("--max-slots"),
        "ROUTES" => Some("--max-route-lines"),
        "AFFINITY" => Some("--max-clients"),
        _ => None,
    }
}

/// Why a map could not be read or written.
#[derive(Debug, Error)]
pub enum MapError {
    /// The kernel object has no such map, or one of another kind.
    #[error("map {name} is missing or of another kind")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// Every cell in which a frontend could be is taken by another one.
    #[error("map {name} has no free cell near the place of {key:?}")]
    Crowded {
        /// Its name.
        name: &'static str,
        /// The frontend.
        key: FrontendKey,
    },
    /// A system call on the map failed.
    #[error("map {name}")]
    Call {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// The map could not be mapped into memory.
    #[error("map {name} could not be mapped into memory")]
    Mmap {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Why a step was not applied; the steps before it were.
#[derive(Debug, Error)]
#[error("step {step} of {steps} failed")]
pub struct ApplyError {
    /// Index of the failed step.
    pub step: usize,
    /// Number of steps.
    pub steps: usize,
    /// What failed.
    #[source]
    pub source: MapError,
}

/// Why the programs could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The kernel has no such hook.
    #[error(
        "this kernel lacks the cgroup hook {hook}, which Linux has since {since}: run a later kernel"
    )]
    NoHook {
        /// The hook.
        hook: Hook,
        /// First kernel with it.
        since: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another program holds the hook exclusively.
    #[error("hook {hook} of {} is held exclusively by a program that is not etm's: find it with `bpftool cgroup tree`", cgroup.display())]
    Exclusive {
        /// The hook.
        hook: Hook,
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// A system call failed.
    #[error("{what} of hook {hook}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// The hook.
        hook: Hook,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The build could not be noted in `META`.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A file of bffs could not be moved or removed.
    #[error("could not tidy up {}", path.display())]
    Pin {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
