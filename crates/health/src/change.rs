//! What the kernel's maps are to be told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use etm_model::{BackendKey, HealthPolicy, ServicePortName};

/// The state of a backend's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Connections may be sent to it.
    Available {
        /// How often it was ejected, as far as that counts: the next ejection is longer for it.
        times: u32,
    },
    /// None until then; afterwards one now and then.
    Ejected {
        /// Until when, in the time of [`crate::Tracker`].
        until: Duration,
        /// How often by now, at least 1.
        times: u32,
    },
    /// None until it is told otherwise.
    Out,
}

/// How many members of a Service port may be ejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// So many may be, of the pool with the least room.
    pub allowed: u32,
    /// So many of that pool are: ejected, in probation, or out.
    pub ejected: u32,
    /// Whether the kernel may eject by itself what fails through this Service.
    pub passive: bool,
}

impl Budget {
    /// How many the kernel may eject by itself.
    #[must_use]
    pub const fn left(self) -> u32 {
        if self.passive { self.allowed.saturating_sub(self.ejected) } else { 0 }
    }
}

/// What is different since changes were last asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Records that are to be other than they are believed to be. A backend that was never named
    /// here is available, and was never ejected.
    pub records: BTreeMap<BackendKey, Record>,
    /// What the kernel may do by itself. A Service port that was never named here has no budget.
    pub budgets: BTreeMap<Arc<ServicePortName>, Budget>,
    /// The policy that counts for a backend, however many Services it is in; none is that nothing
    /// is ejected by its connections. One that was never named here has the default.
    pub policies: BTreeMap<BackendKey, Option<Arc<HealthPolicy>>>,
}

impl Changes {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.budgets.is_empty() && self.policies.is_empty()
    }
}
