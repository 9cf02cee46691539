//! Whether the first SYNs of connections are looked at: where something went wrong on this node lately,
//! or where a socket cannot be judged without. Else a connection is looked at when it is established.

use core::ptr;

/// Connections, to whatever Pod, whose first SYN is looked at once there is a reason: of a Service of
/// a thousand Pods, those that go to the one that is the reason are among them.
const CONNECTIONS: u32 = 65_536;

/// How many there are still to be. A new build of the programs begins with none; a Pod that fails
/// calls again.
static mut LEFT: u32 = 0;

/// Has the next connections looked at from the start.
#[inline(always)]
pub fn call() {
    // SAFETY: an aligned word; volatile, since other CPUs write it.
    unsafe { ptr::write_volatile(&raw mut LEFT, CONNECTIONS) };
}

/// Whether the next connection is. Where several CPUs count at once, some more are.
#[inline(always)]
pub fn take() -> bool {
    // SAFETY: as above.
    let left = unsafe { ptr::read_volatile(&raw const LEFT) };
    if left == 0 {
        return false;
    }
    // SAFETY: as above.
    unsafe { ptr::write_volatile(&raw mut LEFT, left - 1) };
    true
}
