//! Which processor measures and which one serves.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What a process of the bench does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Client,
    Server,
}

/// Keeps this process on one processor: the first one for clients, the last one for servers.
pub(crate) fn pin(role: Role) -> rustix::io::Result<()> {
    let all = sched_getaffinity(None)?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let chosen = match role {
        Role::Client => allowed.next(),
        Role::Server => allowed.next_back(),
    };
    let mut one = CpuSet::new();
    one.set(chosen.unwrap_or_default());
    sched_setaffinity(None, &one)
}
