//! What speaks against each backend, for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etm_dataplane::{Dataplane, Reason, monotonic};
use etm_health::{Spared, State, Tracker, Verdict};
use etm_model::{BackendKey, Ledger};
use tracing::warn;

use super::Verdicts;

impl Verdicts {
    /// How many backends there are of each state, but for the healthy ones.
    pub(in crate::agent) fn counts(&self) -> BTreeMap<State, usize> {
        self.reasons.counts()
    }
}

/// What `REASONS` has been told.
#[derive(Default)]
pub(super) struct Reasons(BTreeMap<BackendKey, Told>);

struct Told {
    id: u32,
    state: State,
    reason: Reason,
}

impl Reasons {
    /// Clears the map, whose reasons may be those of an agent before this one: what holds is told
    /// again.
    pub(super) fn clear(&mut self, dataplane: &mut Dataplane) {
        let found = dataplane.reasons().unwrap_or_else(|error| {
            warn!("reasons of an agent before this one may stay: {error}");
            BTreeMap::new()
        });
        let ids = found.into_keys().chain(self.0.values().map(|told| told.id));
        for id in ids.collect::<BTreeSet<_>>() {
            write(id, None, dataplane);
        }
        self.0.clear();
    }

    /// Tells of all that are known, or of those alone that may have changed.
    pub(super) fn tell(
        &mut self,
        tracker: &Tracker,
        judged: impl IntoIterator<Item = BackendKey>,
        ledger: &Ledger,
        dataplane: &mut Dataplane,
    ) {
        let now = monotonic();
        for key in judged {
            let verdict = tracker.verdict(now, &key);
            let verdict = verdict.filter(|verdict| verdict.state != State::Healthy);
            let told =
                verdict.zip(ledger.backend(&key)).map(|(verdict, id)| told(id, now, &verdict));
            self.set(key, told, dataplane);
        }
    }

    fn set(&mut self, key: BackendKey, new: Option<Told>, dataplane: &mut Dataplane) {
        let old = self.0.get(&key);
        let same = old.zip(new.as_ref()).is_some_and(|(old, new)| old.id == new.id);
        if let Some(old) = old.filter(|_| !same) {
            write(old.id, None, dataplane);
        }
        match new {
            Some(new) => {
                if !same || old.is_some_and(|old| old.reason != new.reason) {
                    write(new.id, Some(&new.reason), dataplane);
                }
                self.0.insert(key, new);
            }
            None => {
                self.0.remove(&key);
            }
        }
    }

    fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        for told in self.0.values() {
            *counts.entry(told.state).or_default() += 1;
        }
        counts
    }
}

fn told(id: u32, now: Duration, verdict: &Verdict) -> Told {
    let main = verdict.reasons.first();
    let mut text = main.map(|held| held.reason.to_string()).unwrap_or_default();
    if let Some(spared) = &verdict.spared {
        text += &spared_text(spared);
    }
    let since = now.saturating_sub(main.map(|held| held.since).unwrap_or_default());
    Told { id, state: verdict.state, reason: Reason { since, text: one_line(&text) } }
}

/// Why it is used all the same; short, since there is not much room.
fn spared_text(spared: &Spared) -> String {
    let Spared { service, allowed, members, .. } = spared;
    format!("; spared: {allowed} of {members} may be out ({service})")
}

/// A monitor's message may have several.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write(id: u32, reason: Option<&Reason>, dataplane: &mut Dataplane) {
    if let Err(error) = dataplane.set_reason(id, reason) {
        warn!("`etm get ejections` does not have what it should: {error}");
    }
}
