//! Between the Plan and the maps: what differs, written in order, and read back after a failure.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use etm_dataplane::Dataplane;
use etm_model::{Ledger, Reconciled};
use tracing::{error, warn};

use super::Reconciler;
use crate::agent::RETRY;

impl Reconciler {
    /// Fills new maps with what the ones hold whose place they take.
    pub(super) fn carry_over(&mut self) -> anyhow::Result<()> {
        let before = self.dataplane.predecessor().context("could not read the maps in use")?;
        let Some((contents, limits)) = before else { return Ok(()) };
        let mut carried = Ledger::adopt(contents, limits, 0).carried();
        // Where a start was cut off, some of them are there already.
        for key in self.ledger.sound() {
            carried.set.remove(&key);
        }
        let reconciled = self.ledger.apply(&carried, self.now());
        for problem in &reconciled.problems {
            warn!("not taken over into the new maps: {problem}");
        }
        self.write(&reconciled)
    }

    /// What it takes to bring the maps to the Plan, as far as the Plan can be relied on.
    pub(super) fn compare(&mut self) -> Reconciled {
        let (plan, now) = (self.planner.plan(), self.started.elapsed());
        match &self.kept {
            Some(kept) => self.ledger.reconcile_others(plan, kept, now),
            None => self.ledger.reconcile(plan, now),
        }
    }

    pub(super) fn attempt(&mut self, reconciled: &Reconciled) {
        if let Err(error) = self.write(reconciled) {
            error!("{error:#}; the maps will be read back and compared in {RETRY:?}");
            self.retry = Some(self.now() + RETRY);
        }
    }

    pub(super) fn write(&mut self, reconciled: &Reconciled) -> anyhow::Result<()> {
        self.dataplane.note_generation(self.ledger.generation());
        self.dataplane.apply(&reconciled.steps).context("could not write the maps")?;
        self.ledger.written(self.now());
        self.metrics.written(self.unwritten.drain(..));
        Ok(())
    }
}

pub(super) fn read_back(dataplane: &Dataplane) -> anyhow::Result<Ledger> {
    let contents = dataplane.contents().context("could not read the maps")?;
    let first = dataplane.generation().max(seconds_since_epoch());
    Ok(Ledger::adopt(contents, dataplane.limits(), first))
}

/// Where the counter of table generations begins in new maps: later than in maps that an agent
/// before this one may have had here.
fn seconds_since_epoch() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as u32)
}
