//! From the state of the cluster to what the kernel's maps must hold.

mod balance;
mod claim;
mod compile;
mod draft;
mod health;
mod options;
mod place;
mod policy;
mod pool;
mod route;
mod served;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use compile::compile;
pub use draft::outcomes;
pub use options::{Options, UnknownPort};
pub(crate) use policy::{Policies, Verdict, refused, target, verdict};
pub(crate) use route::{Matcher, RouteVerdict, Standing, Subject};

use self::{claim::Claims, draft::Draft};
use crate::{
    object::ObjectName,
    plan::{Delta, FrontendKey, Plan},
    problem::Problem,
    snapshot::{Affected, Change, Snapshot},
};

/// Keeps the Plan of a Snapshot up to date, at a cost that follows the change.
#[derive(Clone, Debug)]
pub struct Planner {
    options: Options,
    snapshot: Snapshot,
    drafts: BTreeMap<ObjectName, Draft>,
    claims: Claims<FrontendKey>,
    /// Who asks for which `healthCheckNodePort`.
    health_claims: Claims<u16>,
    /// By the Service that they are about, so that they vanish when it is mended.
    problems: BTreeMap<ObjectName, Vec<Problem>>,
    plan: Plan,
}

impl Planner {
    /// A planner of the empty Snapshot.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            snapshot: Snapshot::default(),
            drafts: BTreeMap::new(),
            claims: Claims::default(),
            health_claims: Claims::default(),
            problems: BTreeMap::new(),
            plan: Plan::default(),
        }
    }

    /// Plans another Snapshot in place of the present one.
    pub fn replace(&mut self, snapshot: Snapshot) -> &Plan {
        self.snapshot = snapshot;
        let everything = self.everything();
        self.redraft(&everything);
        &self.plan
    }

    /// Takes changes in, and says what they make of the Plan; they count as one.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> Delta {
        let mut affected = BTreeSet::new();
        let mut all = false;
        for change in changes {
            match self.snapshot.change(change) {
                Affected::All => all = true,
                Affected::Services(services) => affected.extend(services),
            }
        }
        if all {
            affected = self.everything();
        }
        self.redraft(&affected)
    }

    /// The Plan of the Snapshot as it is now.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The Snapshot as it is now.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What of the Snapshot cannot be honoured now, by Service.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.plan.problems
    }

    /// Every Service that is, or was when last planned, or that there is something to tell about.
    fn everything(&self) -> BTreeSet<ObjectName> {
        let planned = self.snapshot.services.keys().chain(self.drafts.keys());
        let told = self.snapshot.policies.keys().chain(self.problems.keys());
        planned.chain(told).chain(self.snapshot.routing.targets()).cloned().collect()
    }

    fn redraft(&mut self, services: &BTreeSet<ObjectName>) -> Delta {
        let (mut keys, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for name in services {
            self.redraft_one(name, &mut keys, &mut ports);
        }
        let mut told = services.clone();
        let mut delta = Delta::default();
        for key in keys {
            self.settle(key, &mut delta);
            told.extend(self.claims.of(key).map(|rank| rank.name.clone()));
        }
        for port in ports {
            self.settle_health_check(port);
            told.extend(self.health_claims.of(port).map(|rank| rank.name.clone()));
        }
        self.plan.apply(&delta);
        self.tell(told);
        delta
    }

    /// Drafts one Service anew, and notes each frontend and each port for health checks that it
    /// asked for or asks for.
    fn redraft_one(
        &mut self,
        name: &ObjectName,
        keys: &mut BTreeSet<FrontendKey>,
        ports: &mut BTreeSet<u16>,
    ) {
        let mut draft = self
            .snapshot
            .services
            .get(name)
            .map(|service| Draft::new(service, &self.snapshot, &self.options));
        if let Some(earlier) = self.drafts.remove(name) {
            for claim in &earlier.claims {
                self.claims.remove(claim.key, &earlier.rank);
                keys.insert(claim.key);
            }
            if let Some(port) = earlier.health_check_port() {
                self.health_claims.remove(port, &earlier.rank);
                ports.insert(port);
            }
            if let Some(draft) = &mut draft {
                draft.share(&earlier);
            }
        }
        if let Some(draft) = draft {
            for claim in &draft.claims {
                self.claims.insert(claim.key, &draft.rank);
                keys.insert(claim.key);
            }
            if let Some(port) = draft.health_check_port() {
                self.health_claims.insert(port, &draft.rank);
                ports.insert(port);
            }
            self.drafts.insert(name.clone(), draft);
        }
    }

    /// Notes what one frontend has become.
    fn settle(&self, key: FrontendKey, delta: &mut Delta) {
        let winner = self
            .claims
            .of(key)
            .next()
            .and_then(|rank| self.drafts.get(&rank.name))
            .and_then(|draft| draft.claim(key));
        match winner.map(|claim| &claim.frontend) {
            Some(Some(frontend)) => {
                if self.plan.frontends.get(&key) != Some(frontend) {
                    delta.set.insert(key, frontend.clone());
                }
            }
            Some(None) => {
                if !self.plan.held.contains(&key) {
                    delta.hold.insert(key);
                }
            }
            None => {
                if self.plan.frontends.contains_key(&key) || self.plan.held.contains(&key) {
                    delta.remove.insert(key);
                }
            }
        }
    }

    /// Notes what one port for health checks has become.
    fn settle_health_check(&mut self, port: u16) {
        let winner = self.health_claims.of(port).next();
        let draft = winner.and_then(|rank| self.drafts.get(&rank.name));
        let check = draft.and_then(|draft| Some(&draft.health_check.as_ref()?.1));
        if self.plan.health_checks.get(&port) == check {
            return;
        }
        let checks = Arc::make_mut(&mut self.plan.health_checks);
        match check {
            Some(check) => checks.insert(port, check.clone()),
            None => checks.remove(&port),
        };
    }

    /// Brings the problems of some Services up to date.
    fn tell(&mut self, services: BTreeSet<ObjectName>) {
        let mut changed = false;
        for name in services {
            let told = self.problems_of(&name);
            changed |= if told.is_empty() {
                self.problems.remove(&name).is_some()
            } else if self.problems.get(&name) == Some(&told) {
                false
            } else {
                self.problems.insert(name, told);
                true
            };
        }
        if changed {
            self.plan.problems = self.problems.values().flatten().cloned().collect();
        }
    }

    fn problems_of(&self, name: &ObjectName) -> Vec<Problem> {
        let mut told = policy::problems(name, &self.snapshot);
        told.extend(route::problems(name, &self.snapshot));
        let Some(draft) = self.drafts.get(name) else {
            told.sort_unstable();
            return told;
        };
        told.extend(draft.problems.iter().cloned());
        for claim in &draft.claims {
            if let Some(winner) = self.claims.of(claim.key).next()
                && *winner != draft.rank
            {
                told.extend(claim.lost(&draft.rank, winner));
            }
        }
        if let Some(port) = draft.health_check_port()
            && let Some(winner) = self.health_claims.of(port).next()
            && *winner != draft.rank
        {
            told.push(health::lost(port, &draft.rank, winner));
        }
        told.sort_unstable();
        told
    }
}
