//! Which processor measures and which one serves.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What a process of a bench does.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Calls, and measures.
    Client,
    /// Is called.
    Server,
}

/// Keeps this thread, and all that it starts, on one processor: the first one for clients, the last
/// one for servers.
///
/// # Errors
///
/// Where the kernel does not allow it.
pub fn pin(role: Role) -> rustix::io::Result<()> {
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
