//! What the kernel does by itself, and a world in which anything may happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use etm_health::{Outcomes, ProbeFailure, Record, ServiceHealth, Signal, Tracker};
use etm_model::{BackendKey, HealthPolicy};
use proptest::{collection::vec, prelude::*};

use crate::world::{
    accused, backend, down, failures, governed, percent, pool, probe, seconds, service,
};

pub(crate) const BACKENDS: u8 = 8;
pub(crate) const SERVICES: usize = 3;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A Service port has these members (bits), this share, and these accused by a monitor (bits).
    Service {
        at: usize,
        members: u8,
        share: Option<u8>,
        accused: u8,
    },
    /// These nodes are down (bits).
    Nodes(u8),
    /// A connection through a Service to a backend fails as the last of a row.
    Fails {
        at: usize,
        to: u8,
    },
    /// A connection to a backend succeeds.
    Succeeds(u8),
    /// So many connections succeeded, and so many failed, here and there.
    Counted {
        to: u8,
        established: u8,
        refused: u8,
    },
    Probed {
        to: u8,
        fine: bool,
    },
    Alone(u8),
}

/// The kernel's side, and what the tracker was told.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) tracker: Tracker,
    pub(crate) now: Duration,
    pub(crate) services: Vec<ServiceHealth>,
    pub(crate) records: BTreeMap<BackendKey, Record>,
    /// What is left of the budgets.
    budgets: [u32; SERVICES],
    successes: BTreeMap<BackendKey, u8>,
    counters: BTreeMap<BackendKey, Outcomes>,
}

pub(crate) fn happening() -> impl Strategy<Value = Happening> {
    let share =
        prop_oneof![Just(None), prop::sample::select(vec![0, 10, 50, 80, 100]).prop_map(Some)];
    let to = 0..BACKENDS;
    let service = (0..SERVICES, any::<u8>(), share, any::<u8>(), any::<u8>());
    prop_oneof![
        2 => service.prop_map(|(at, members, share, one, other)| Happening::Service {
            at, members, share, accused: one & other,
        }),
        1 => (0u8..8).prop_map(Happening::Nodes),
        4 => (0..SERVICES, to.clone()).prop_map(|(at, to)| Happening::Fails { at, to }),
        3 => to.clone().prop_map(Happening::Succeeds),
        3 => (to.clone(), 0u8..30, 0u8..30).prop_map(|(to, established, refused)| {
            Happening::Counted { to, established, refused }
        }),
        3 => (to.clone(), any::<bool>()).prop_map(|(to, fine)| Happening::Probed { to, fine }),
        1 => to.prop_map(Happening::Alone),
    ]
}

/// What happens in one instant after another, with the seconds in between.
pub(crate) fn history() -> impl Strategy<Value = Vec<(u64, Vec<Happening>)>> {
    vec((0u64..60, vec(happening(), 0..6)), 1..20)
}

fn bits(bits: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| bits & 1 << bit != 0)
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            tracker: Tracker::new(),
            now: seconds(0),
            services: vec![ServiceHealth::default(); SERVICES],
            records: BTreeMap::new(),
            budgets: [0; SERVICES],
            successes: BTreeMap::new(),
            counters: BTreeMap::new(),
        };
        for at in 0..SERVICES {
            world.happen(&Happening::Service { at, members: 0xff, share: Some(50), accused: 0 });
        }
        world.poll();
        world
    }

    pub(crate) fn record(&self, key: BackendKey) -> Record {
        self.records.get(&key).copied().unwrap_or(Record::Available { times: 0 })
    }

    fn policy(&self, key: BackendKey) -> Option<HealthPolicy> {
        self.tracker.policy(&key).map(|policy| HealthPolicy::clone(policy))
    }

    pub(crate) fn is_member(&self, at: usize, key: BackendKey) -> bool {
        self.services[at].pools.iter().any(|pool| pool.iter().any(|m| m.backend == key))
    }

    pub(crate) fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Service { at, members, share, accused: monitored } => {
                let mut health = governed(bits(members), |policy| {
                    policy.probe = Some(probe());
                    policy.max_ejected_percent = percent(share.unwrap_or_default());
                });
                health.monitored = bits(monitored).map(accused).collect();
                if at == 1 {
                    // Of two families.
                    health.pools = vec![pool(bits(members & 0x0f)), pool(bits(members & 0xf0))];
                }
                if share.is_none() {
                    (health.policy, health.publish_not_ready) = (None, at == 0);
                }
                self.tracker.set_service(self.now, &service(&format!("s{at}")), &health);
                self.services[at] = health;
                // A record that no table leads to is cleared.
                let gone = (0..BACKENDS)
                    .map(backend)
                    .filter(|key| (0..SERVICES).all(|at| !self.is_member(at, *key)));
                for key in gone.collect::<BTreeSet<_>>() {
                    self.records.remove(&key);
                    self.counters.remove(&key);
                }
            }
            Happening::Nodes(nodes) => {
                self.tracker.set_nodes(self.now, bits(nodes).map(down));
            }
            Happening::Fails { at, to } => self.fail(at, backend(to)),
            Happening::Succeeds(to) => self.succeed(backend(to)),
            Happening::Counted { to, established, refused } => {
                let counters = self.counters.entry(backend(to)).or_default();
                counters.established += u64::from(established);
                counters.refused += u64::from(refused);
                let signal = Signal::Outcomes(*counters);
                self.tracker.signal(self.now, backend(to), signal);
            }
            Happening::Probed { to, fine } => {
                let result = if fine { Ok(()) } else { Err(ProbeFailure::Refused) };
                let signal = Signal::Probed(Arc::new(probe()), result);
                self.tracker.signal(self.now, backend(to), signal);
            }
            Happening::Alone(to) => {
                self.tracker.signal(self.now, backend(to), Signal::Alone(failures()));
            }
        }
    }

    /// As the program does: within the budget of the Service that the connection came through.
    fn fail(&mut self, at: usize, key: BackendKey) {
        let Some(policy) = self.policy(key).filter(|_| self.is_member(at, key)) else { return };
        let span = |times: u32| (policy.ejection_time * times).min(policy.max_ejection_time);
        match self.record(key) {
            Record::Available { times } if self.budgets[at] > 0 => {
                self.budgets[at] -= 1;
                let until = self.now + span(times + 1);
                self.eject(key, until, times + 1);
            }
            Record::Available { .. } => {
                self.tracker.signal(self.now, key, Signal::Failing(failures()));
            }
            Record::Ejected { until, times } if until <= self.now => {
                let failed = Signal::Failed(failures().last);
                self.tracker.signal(self.now, key, failed);
                let until = self.now + span(times + 1);
                self.eject(key, until, times + 1);
            }
            Record::Ejected { .. } | Record::Out => {}
        }
    }

    fn eject(&mut self, key: BackendKey, until: Duration, times: u32) {
        self.successes.remove(&key);
        self.records.insert(key, Record::Ejected { until, times });
        let signal = Signal::Ejected { failures: failures(), until, times };
        self.tracker.signal(self.now, key, signal);
    }

    /// As the program does: it counts those that it let through.
    pub(crate) fn succeed(&mut self, key: BackendKey) {
        let Some(policy) = self.policy(key) else { return };
        let Record::Ejected { until, times } = self.record(key) else { return };
        if until > self.now {
            return;
        }
        self.tracker.signal(self.now, key, Signal::Passed);
        let successes = self.successes.entry(key).or_default();
        *successes += 1;
        if *successes >= policy.probation.successes {
            self.successes.remove(&key);
            self.records.insert(key, Record::Available { times });
            self.tracker.signal(self.now, key, Signal::Returned);
        }
    }

    /// As the agent does.
    pub(crate) fn poll(&mut self) {
        let changes = self.tracker.changes(self.now);
        for (key, record) in changes.records {
            self.successes.remove(&key);
            self.records.insert(key, record);
        }
        for at in 0..SERVICES {
            let budget = self.tracker.budget_of(&service(&format!("s{at}"))).unwrap_or_default();
            self.budgets[at] = budget.left();
        }
    }
}
