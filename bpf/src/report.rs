//! Counters and events, and the refusal of a call.

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_set_retval,
};
use etm_abi::{Counter, Event};

use crate::{
    context::{Caller, DENY, Family},
    frontends::Frontend,
    maps, settings,
};

/// At most one event a CPU in this time, in ns: a caller in a loop must not flood the agent.
const EVENT_INTERVAL: u64 = 1_000_000;

#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(cell) = maps::COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the cell is this CPU's own; a program that preempts this one between the load
        // and the store may lose one count, which is what per-CPU counters accept.
        unsafe { *cell += 1 };
    }
}

/// Refuses the call with the frontend's errno, and tells the agent. A refusal for want of a usable
/// member is given as one of a table without members; what it is, is told here, off the way.
#[cold]
#[inline(never)]
pub fn refuse<F: Family>(
    caller: &Caller<F>,
    frontend: &Frontend,
    protocol: u8,
    counter: Counter,
) -> i32 {
    let counter = counter.because_of(frontend.target);
    count(counter);
    event(caller, frontend, protocol, counter);
    if settings::has_set_retval() {
        // SAFETY: the helper takes any errno; 4095 is the largest that the kernel knows.
        unsafe { bpf_set_retval(-((frontend.errno() & 0xfff) as i32)) };
    }
    DENY
}

#[inline(always)]
fn event<F: Family>(caller: &Caller<F>, frontend: &Frontend, protocol: u8, counter: Counter) {
    // SAFETY: the helper takes nothing.
    let time = unsafe { bpf_ktime_get_ns() };
    let Some(last) = maps::EVENT_TIMES.get_ptr_mut(0) else { return };
    // SAFETY: the cell is this CPU's own.
    unsafe {
        if time.wrapping_sub(*last) < EVENT_INTERVAL {
            return;
        }
        *last = time;
    }
    let Some(mut entry) = maps::EVENTS.reserve(0) else {
        count(Counter::EventLost);
        return;
    };
    entry.write(Event {
        time,
        // SAFETY: the helper takes nothing.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        address: caller.address(),
        counter: counter as u32,
        pid: (bpf_get_current_pid_tgid() >> 32) as u32,
        service: frontend.service(),
        port: caller.port(),
        protocol,
        pad: 0,
    });
    entry.submit(0);
}
