use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use etm_api::Analysis;
use etm_outcomes::BackendOutcomes;
use etm_release::{Judge, Tally, Verdict};
use k8s_openapi::jiff::Timestamp;

use crate::gather::Gathered;

/// Counters that are ahead by more than half of their range have begun anew.
const WRAPPED: u32 = 1 << 31;

/// What was seen of a release so far, by this process alone: whoever takes over begins anew, which costs
/// connections that are to be seen once more, and says nothing wrong.
#[derive(Debug)]
pub(super) struct Run {
    judge: Judge,
    /// The step that the judge is at.
    since: Option<Timestamp>,
    /// Why nothing, or not all, was seen at the last look.
    unseen: Option<String>,
    /// The counters of each agent as they were last read, by address, port and protocol.
    last: BTreeMap<SocketAddr, BTreeMap<(IpAddr, u16, String), BackendOutcomes>>,
}

impl Run {
    pub(super) fn new(analysis: &Analysis) -> Option<Self> {
        let judge = Judge::new(analysis)?;
        Some(Self { judge, since: None, unseen: None, last: BTreeMap::new() })
    }

    /// Takes in what was found, which was asked for at one step and came at another or the same.
    pub(super) fn take(
        &mut self,
        gathered: &Gathered,
        asked: Option<Timestamp>,
        since: Option<Timestamp>,
    ) {
        self.unseen.clone_from(&gathered.unseen);
        let [new, old] = [&gathered.new, &gathered.stable].map(|of| self.grown(gathered, of));
        for (agent, backends) in &gathered.outcomes {
            let key = |one: &BackendOutcomes| (one.address, one.port, one.protocol.clone());
            let read = backends.iter().map(|one| (key(one), one.clone())).collect();
            self.last.insert(*agent, read);
        }
        if self.since != since {
            // What came between the last look and this one is partly of the step before; so is what came
            // since an agent was last heard of that says nothing now.
            let heard = |agent: &SocketAddr| gathered.outcomes.iter().any(|(one, _)| one == agent);
            self.last.retain(|agent, _| heard(agent));
            self.judge.begin_step();
            self.since = since;
            return;
        }
        if asked != since {
            return;
        }
        self.judge.observe(new, old);
        for (query, answer) in &gathered.answers {
            self.judge.answer(*query, answer.as_deref().map_err(Clone::clone));
        }
    }

    /// What is thought of the step that began then.
    pub(super) fn verdict(&self, since: Option<Timestamp>) -> Option<Verdict> {
        let verdict = (since.is_some() && self.since == since).then(|| self.judge.verdict());
        match (verdict, &self.unseen) {
            (Some(Verdict::Undecided(why)), Some(unseen)) => {
                Some(Verdict::Undecided(format!("{why}; {unseen}")))
            }
            (verdict, _) => verdict,
        }
    }

    /// What became of connections to these Pods since the last look.
    fn grown(&self, gathered: &Gathered, of: &BTreeSet<IpAddr>) -> Tally {
        let mut tally = Tally::default();
        for (agent, backends) in &gathered.outcomes {
            let Some(last) = self.last.get(agent) else { continue };
            for now in backends.iter().filter(|now| of.contains(&now.address)) {
                // What a node counted before it was looked at says nothing of this step.
                let Some(before) = last.get(&(now.address, now.port, now.protocol.clone())) else {
                    continue;
                };
                let grown = |of: fn(&BackendOutcomes) -> u32| {
                    let grown = of(now).wrapping_sub(of(before));
                    u64::from(if grown < WRAPPED { grown } else { of(now) })
                };
                tally.add(Tally {
                    established: grown(|one| one.established),
                    refused: grown(|one| one.refused),
                    timed_out: grown(|one| one.timed_out),
                    reset: grown(|one| one.reset),
                    rtt: grown(|one| one.rtt),
                });
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests;
