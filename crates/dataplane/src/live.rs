use etm_abi::{self as abi, Address, Affinity, Backend};
use etm_decide::{Line, Tables, UNROLLED_STEPS, connections};
use etm_model::FrontendKey;

use crate::{
    error::MapError,
    health::{monotonic, takes},
    kernel::Helpers,
    maps::Maps,
};

/// The maps as the programs read them when they decide, for the code that decides in the kernel.
pub struct Live<'a> {
    maps: &'a Maps,
    helpers: Helpers,
}

impl<'a> Live<'a> {
    pub(crate) fn new(maps: &'a Maps) -> Self {
        Self { maps, helpers: Helpers::probe_or(true) }
    }

    /// What is known of the caller in a cgroup of this id; [`abi::CALLER_NODE`] is the node.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn caller(&self, cgroup: u64) -> Result<Option<abi::Caller>, MapError> {
        self.maps.callers.record(cgroup)
    }

    /// Whether an address is in a range of a frontend that is not for everyone.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn admits(&self, frontend: &FrontendKey, source: Address) -> Result<bool, MapError> {
        self.maps.sources.admits(frontend, source)
    }

    /// What is remembered of a client of a Service port.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn affinity(&self, service: u32, client: Address) -> Result<Option<Affinity>, MapError> {
        self.maps.affinities.get(service, client)
    }

    /// The record of a backend, whatever its state.
    #[must_use]
    pub fn backend(&self, id: u32) -> Option<Backend> {
        self.maps.backends.get(id)
    }

    /// Nanoseconds of the clock by which [`Affinity::time`] is told.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether refused callers see the errno of the Service; on kernels before 5.18 they see EPERM.
    #[must_use]
    pub const fn has_errno(&self) -> bool {
        self.helpers.set_retval
    }
}

impl Tables for Live<'_> {
    type Backend = Backend;
    type Line = Line;

    fn line(&self, index: u32) -> Option<Line> {
        let mut line = Line::default();
        for (word, at) in line.iter_mut().zip(index.checked_mul(abi::LINE_WORDS)?..) {
            *word = self.maps.slots.get(at)?;
        }
        Some(line)
    }

    fn route_word(&self, index: u32) -> Option<u64> {
        self.maps.routes.get(index)
    }

    fn available(&self, backend: u32) -> Option<Backend> {
        self.maps.backends.get(backend).filter(|backend| takes(backend, self.now()))
    }

    fn connections(&self, backend: u32) -> u32 {
        connections(self.maps.connections.get(backend).unwrap_or_default())
    }

    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        let most = if self.helpers.bpf_loop { count } else { count.min(UNROLLED_STEPS) };
        (0..most).find_map(probe)
    }
}
