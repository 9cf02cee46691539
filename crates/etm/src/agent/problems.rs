use std::collections::BTreeSet;

use etm_model::Problem;
use tracing::{info, warn};

/// What cannot be honoured now; each is told once when it comes, and once when it is mended.
#[derive(Default)]
pub(super) struct Problems {
    source: Vec<Problem>,
    told: BTreeSet<Problem>,
}

impl Problems {
    /// Takes over what the source says.
    pub(super) fn set_source(&mut self, problems: Vec<Problem>) {
        self.source = problems;
    }

    /// Tells what is new and what is gone, `others` being what does not come from the source.
    pub(super) fn report(&mut self, others: impl Iterator<Item = Problem>) {
        let current: BTreeSet<Problem> = self.source.iter().cloned().chain(others).collect();
        for problem in current.difference(&self.told) {
            warn!("{problem}");
        }
        for problem in self.told.difference(&current) {
            info!("mended: {}: {}", problem.object, problem.reason);
        }
        self.told = current;
    }
}
