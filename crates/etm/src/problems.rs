use std::{collections::BTreeSet, sync::Arc};

use etm_model::Problem;
use tracing::{info, warn};

use crate::state::State;

/// What cannot be honoured now; each is told once when it comes, and once when it is mended.
pub(crate) struct Problems {
    /// Where they can be looked up.
    state: Arc<State>,
    source: Vec<Problem>,
    told: BTreeSet<Problem>,
}

impl Problems {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state, source: Vec::new(), told: BTreeSet::new() }
    }

    /// Takes over what the source says.
    pub(crate) fn set_source(&mut self, problems: Vec<Problem>) {
        self.source = problems;
    }

    /// Tells what is new and what is gone, `others` being what does not come from the source.
    pub(crate) fn report(&mut self, others: impl Iterator<Item = Problem>) {
        let current: BTreeSet<Problem> = self.source.iter().cloned().chain(others).collect();
        for problem in current.difference(&self.told) {
            warn!("{problem}");
        }
        for problem in self.told.difference(&current) {
            info!("mended: {}: {}", problem.object, problem.reason);
        }
        if current != self.told {
            self.state.set_problems(current.iter().cloned().collect());
        }
        self.told = current;
    }
}
