//! The kernel side as seen from user space: load, pin, replace, read, apply.
//!
//! The only crate that talks to the kernel about BPF. Programs, links and maps are pinned, so the
//! data path goes on without the process that made it.
#![allow(unsafe_code, reason = "BPF system calls and memory-mapped maps; each block says why")]

mod attach;
mod baseline;
mod btf;
mod contents;
mod dataplane;
mod detach;
mod error;
mod flows;
mod health;
mod kernel;
mod live;
mod maps;
mod object;
mod pin;
mod stale;
mod stats;
mod sys;
mod tracepoint;
mod view;

pub use attach::{Attached, Hook};
pub use baseline::{Baseline, Runs};
pub use dataplane::{Config, Dataplane};
pub use detach::{Detached, detach};
pub use error::{ApplyError, AttachError, MapError, OpenError};
pub use flows::Flows;
pub use health::monotonic;
pub use kernel::{cgroup2_root, netns_cookie};
pub use live::Live;
pub use maps::{Counters, Ejections, Events, Reason};
pub use stale::{Led, Pass, StaleError, StaleSockets};
pub use stats::{MapUsage, ProgramUsage, RunCounter, RunTimeStats};
pub use view::View;
