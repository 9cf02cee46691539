//! What an agent or a controller says of itself to those who ask while it runs.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use etm_model::Problem;

/// Written by the loop, read by the admin server.
#[derive(Debug, Default)]
pub(crate) struct State {
    ready: AtomicBool,
    problems: Mutex<Arc<[Problem]>>,
}

impl State {
    /// Whether the state of the cluster was known as a whole once, and for an agent the programs are
    /// attached and the maps were brought to it.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// What cannot be honoured now, in a fixed order.
    pub(crate) fn problems(&self) -> Arc<[Problem]> {
        Arc::clone(&self.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_problems(&self, problems: Arc<[Problem]>) {
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }
}
