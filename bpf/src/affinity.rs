//! Clients that stay with a member: `sessionAffinity: ClientIP`.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use etm_abi::{Address, Affinity, AffinityKey, Class, Counter};
use etm_decide::affinity::{is_expired, stays};

use crate::{maps, report::count, tables::Maps};

/// One client of one port of a Service.
pub struct Client {
    key: AffinityKey,
    /// Of the table that the client finds.
    generation: u32,
    now: u64,
}

impl Client {
    #[inline(always)]
    pub fn new(service: u32, generation: u32, client: Address) -> Self {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        Self { key: AffinityKey { service, client }, generation, now }
    }

    /// The member that the client stays with, if it connected at most `seconds` ago and the member
    /// is still usable.
    #[inline(always)]
    pub fn kept(&self, class: Class, seconds: u32) -> Option<u32> {
        // SAFETY: the value is copied at once; a replaced one is as good as the one before it.
        let affinity = *unsafe { maps::AFFINITY.get(self.key) }?;
        if is_expired(&affinity, self.now, seconds) {
            return None;
        }
        let (backend, renew) = stays(&Maps, self.generation, class, &affinity, self.now)?;
        if renew {
            self.keep(backend);
        }
        Some(backend)
    }

    /// Remembers a member.
    #[inline(always)]
    pub fn keep(&self, backend: u32) {
        let affinity = Affinity { time: self.now, backend, generation: self.generation };
        if maps::AFFINITY.insert(self.key, affinity, 0).is_err() {
            count(Counter::FlowLost);
        }
    }
}
