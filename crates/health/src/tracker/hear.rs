//! What each signal does to a backend.

use std::{sync::Arc, time::Duration};

use etm_model::{BackendKey, HealthPolicy, Passive, Probe};

use super::Tracker;
use crate::{
    backend::Backend,
    change::Record,
    passive::Phase,
    reason::Why,
    signal::{Outcomes, ProbeFailure, Signal},
    streak::Streak,
    window::Window,
};

impl Tracker {
    /// Takes in what was told at `now`, in an order of its own.
    pub(super) fn take_in(&mut self) {
        let mut heard = std::mem::take(&mut self.heard);
        heard.sort_unstable();
        for (key, signal) in heard {
            if let Signal::Probed(probe, _) = &signal
                && !self.is_asked(key, probe)
            {
                continue;
            }
            let Some(backend) = self.backends.get_mut(&key) else { continue };
            hear(self.now, backend, signal);
            self.touch(key);
        }
    }

    /// Whether a Service wants this probe of a backend.
    pub(super) fn is_asked(&self, key: BackendKey, probe: &Probe) -> bool {
        let backend = self.backends.get(&key);
        let services = backend.into_iter().flat_map(|backend| &backend.services);
        let mut policies = services.filter_map(|name| self.services.get(name)?.policy.as_ref());
        policies.any(|policy| policy.probe.as_ref() == Some(probe))
    }
}

fn hear(now: Duration, backend: &mut Backend, signal: Signal) {
    if let Signal::Probed(probe, result) = signal {
        probed(now, backend, probe, result);
        return;
    }
    let policy = backend.policy.clone();
    let rules = policy.as_ref().and_then(|policy| Some((policy, policy.passive.as_ref()?)));
    let Some((policy, passive)) = rules else {
        // Nothing of its connections ejects it; what the kernel did is to be taken back.
        if let Signal::Ejected { until, times, .. } = signal {
            backend.told = Some(Record::Ejected { until, times });
        }
        return;
    };
    match signal {
        Signal::Outcomes(outcomes) => counted(now, backend, outcomes, policy, passive),
        Signal::Alone(failures) => {
            let until = now.saturating_add(passive.failure_share.window);
            let trouble = backend.trouble();
            let since = trouble.alone.map_or(now, |(_, since, _)| since);
            trouble.alone = Some((failures, since, until));
        }
        Signal::Passed => {
            let trouble = backend.trouble();
            trouble.passive.pass(now, policy);
            let times = trouble.passive.times;
            if trouble.passive.phase == Phase::Good {
                backend.told = Some(Record::Available { times });
            }
        }
        Signal::Returned => {
            let trouble = backend.trouble();
            if !matches!(trouble.passive.phase, Phase::Failing { .. }) {
                trouble.passive.recover(now);
            }
            let times = trouble.passive.times;
            backend.told = Some(Record::Available { times });
        }
        Signal::Failed(_) => {
            let trouble = backend.trouble();
            trouble.passive.relapse(now, policy);
            let times = trouble.passive.times;
            if let Phase::Ejected { until, .. } = trouble.passive.phase {
                backend.told = Some(Record::Ejected { until, times });
            }
        }
        Signal::Failing(failures) => {
            backend.trouble().passive.fail(now, Why::InRow(failures), policy);
        }
        Signal::Ejected { failures, until, times } => {
            backend.told = Some(Record::Ejected { until, times });
            let trouble = backend.trouble();
            trouble.passive.ejected(now, Why::InRow(failures), (until, times), policy);
            if let Some(window) = &mut backend.window {
                window.clear();
            }
        }
        Signal::Probed(..) => {}
    }
}

/// Judges a backend by its counters: what failed of a window, or what has gone well since.
fn counted(
    now: Duration,
    backend: &mut Backend,
    outcomes: Outcomes,
    policy: &HealthPolicy,
    passive: &Passive,
) {
    let share = &passive.failure_share;
    let window = backend.window.get_or_insert_with(|| Box::new(Window::new(share.window)));
    let grown = window.count(now, outcomes);
    let used = matches!(backend.told, None | Some(Record::Available { .. }));
    if !used {
        // The kernel judges those that it lets through; what failed before has been judged.
        window.clear();
        return;
    }
    let total = window.total(now);
    if total.exceeds(share) {
        let why = Why::Share { failures: total.failures, connections: total.connections };
        backend.trouble().passive.fail(now, why, policy);
    } else if let Some(trouble) = &mut backend.trouble {
        let over = match trouble.passive.phase {
            Phase::Failing { why: Why::Share { .. }, counted: false, .. } => true,
            Phase::Failing { counted: false, .. } => grown.connections > 0 && grown.failures == 0,
            _ => false,
        };
        if over {
            trouble.passive.recover(now);
        }
    }
}

fn probed(
    now: Duration,
    backend: &mut Backend,
    probe: Arc<Probe>,
    result: Result<(), ProbeFailure>,
) {
    let streaks = backend.trouble.as_ref().map(|trouble| trouble.probes.as_slice());
    let found = streaks.and_then(|streaks| streaks.iter().position(|(other, _)| *other == probe));
    let failed = result.is_err();
    if !failed && found.is_none() {
        return;
    }
    let probes = &mut backend.trouble().probes;
    match (result, found.and_then(|at| Some((at, &mut probes.get_mut(at)?.1)))) {
        (Err(failure), Some((_, streak))) => streak.fail(now, failure, &probe),
        (Err(failure), None) => {
            let streak = Streak::new(now, failure, &probe);
            probes.push((probe, streak));
            probes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        }
        (Ok(()), Some((at, streak))) => {
            if streak.pass(&probe) {
                probes.remove(at);
            }
        }
        (Ok(()), None) => {}
    }
}
