//! All backends, and what is to become of them.

mod adopt;
mod hear;
mod membership;
mod refresh;
mod share;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use etm_model::{BackendKey, HealthPolicy, ServicePortName};

use self::{membership::Service, share::Pool};
use crate::{
    backend::Backend,
    change::{Budget, Changes, Record},
    signal::{NodeFault, Signal},
};

/// Merges every signal of every backend into one verdict each, and keeps what is out within the
/// share that may be.
///
/// `now` is the kernel's monotonic clock, which its times of ejections are in; one that goes back is
/// taken to stand still. What is told with one `now` may be told in any order. The cost of a call
/// follows what it changes; [`Tracker::changes`] with nothing due and nothing told costs nothing.
///
/// A backend that something speaks against is out while each pool that it is a member of has room
/// for it. Where one has not, the surest cases are out and the others are spared: a node's fault
/// before a monitor's word, that before failed probes, those before failed connections; of equals
/// the one that has failed for longest, and then the one of the lowest address. A spared one is out
/// once there is room, if what spoke against it still does. One in probation takes up room too; it
/// returns at once where a surer case needs the room.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    now: Duration,
    default: Arc<HealthPolicy>,
    /// Boxed, since half of a tree's room is empty.
    backends: BTreeMap<BackendKey, Box<Backend>>,
    /// Backends that are gone since then, whose records may still say that they are ejected.
    gone: BTreeMap<BackendKey, Duration>,
    services: BTreeMap<Arc<ServicePortName>, Service>,
    pools: BTreeMap<u32, Pool>,
    last_pool: u32,
    nodes: BTreeMap<Arc<str>, Node>,
    /// Told at `now`, and not yet taken in.
    heard: Vec<(BackendKey, Signal)>,
    timers: BTreeSet<(Duration, BackendKey)>,
    /// Whose records may be other than the kernel's.
    touched: BTreeSet<BackendKey>,
    /// Of whom something else may be told than before.
    judged: BTreeSet<BackendKey>,
    /// Whose members are to be chosen anew.
    unsettled: BTreeSet<u32>,
    /// Whose budgets may be others.
    unbudgeted: BTreeSet<Arc<ServicePortName>>,
    policies: BTreeMap<BackendKey, Option<Arc<HealthPolicy>>>,
}

/// A node, as far as a backend is on it or something is wrong with it.
#[derive(Clone, Debug, Default)]
struct Node {
    fault: Option<(Arc<NodeFault>, Duration)>,
    backends: BTreeSet<BackendKey>,
}

impl Tracker {
    /// A tracker of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what was seen of a backend; nothing where it is in no Service that was told.
    pub fn signal(&mut self, now: Duration, backend: BackendKey, signal: Signal) {
        self.advance(now);
        self.heard.push((backend, signal));
    }

    /// Takes in all nodes that do not work, in place of those told before.
    pub fn set_nodes(
        &mut self,
        now: Duration,
        faults: impl IntoIterator<Item = (Arc<str>, NodeFault)>,
    ) {
        self.advance(now);
        let mut faults: BTreeMap<_, _> = faults.into_iter().collect();
        let mut changed = Vec::new();
        for (name, node) in &mut self.nodes {
            let told = faults.remove(name);
            if node.fault.as_ref().map(|(fault, _)| &**fault) != told.as_ref() {
                let since = node.fault.as_ref().map_or(self.now, |(_, since)| *since);
                node.fault = told.map(|fault| (Arc::new(fault), since));
                changed.extend(node.backends.iter().copied());
            }
        }
        for (name, fault) in faults {
            let fault = Some((Arc::new(fault), self.now));
            self.nodes.insert(name, Node { fault, backends: BTreeSet::new() });
        }
        self.nodes.retain(|_, node| node.fault.is_some() || !node.backends.is_empty());
        for backend in changed {
            self.refresh(backend);
        }
    }

    /// What is different since this was last asked.
    pub fn changes(&mut self, now: Duration) -> Changes {
        self.advance(now);
        self.take_in();
        self.expire();
        self.settle();
        let mut changes =
            Changes { policies: std::mem::take(&mut self.policies), ..Changes::default() };
        for key in std::mem::take(&mut self.touched) {
            let Some(backend) = self.backends.get_mut(&key) else { continue };
            let record = backend.record();
            // What is in no pool is in no table either; its record is written when it is again.
            if !backend.pools.is_empty() && backend.told != Some(record) {
                backend.told = Some(record);
                backend.start_over();
                changes.records.insert(key, record);
            }
            backend.tidy();
        }
        for name in std::mem::take(&mut self.unbudgeted) {
            let budget = self.budget(&name);
            if let Some(service) = self.services.get_mut(&name)
                && service.budget != budget
            {
                service.budget = budget;
                changes.budgets.insert(name, budget);
            }
        }
        changes
    }

    /// Backends whose verdicts may be others since this was last asked, those that are gone among
    /// them; to be asked after [`Tracker::changes`].
    pub fn judged(&mut self) -> BTreeSet<BackendKey> {
        std::mem::take(&mut self.judged)
    }

    /// When [`Tracker::changes`] is to be asked again, if nothing is told before.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let told = !self.heard.is_empty()
            || !self.touched.is_empty()
            || !self.unsettled.is_empty()
            || !self.unbudgeted.is_empty()
            || !self.policies.is_empty();
        if told { Some(self.now) } else { self.timers.first().map(|(due, _)| *due) }
    }

    /// The policy that counts for a backend; none is that nothing ejects it.
    #[must_use]
    pub fn policy(&self, backend: &BackendKey) -> Option<&Arc<HealthPolicy>> {
        self.backends.get(backend)?.policy.as_ref()
    }

    /// What a Service port's budget was when changes were last asked for.
    #[must_use]
    pub fn budget_of(&self, service: &ServicePortName) -> Option<Budget> {
        self.services.get(service).map(|service| service.budget)
    }

    /// Goes on to a moment: what was told before it counts before what it brings.
    fn advance(&mut self, now: Duration) {
        if now > self.now {
            self.take_in();
            self.now = now;
            self.expire();
        }
    }

    fn expire(&mut self) {
        while let Some((due, key)) = self.timers.first().copied() {
            if due > self.now {
                return;
            }
            self.timers.pop_first();
            if let Some(backend) = self.backends.get_mut(&key) {
                backend.due = None;
                backend.tick(self.now);
                self.touch(key);
            }
        }
    }

    /// To be called after each change of a backend: notes what depends on it.
    fn touch(&mut self, key: BackendKey) {
        self.judged.insert(key);
        let Some(backend) = self.backends.get_mut(&key) else { return };
        let wish = backend.wish();
        let pools = &backend.pools;
        if let Some(trouble) = &mut backend.trouble
            && trouble.rank != wish
        {
            trouble.rank = wish;
            if wish.is_none() {
                (trouble.granted, trouble.spared) = (false, None);
            }
            for id in pools {
                if let Some(pool) = self.pools.get_mut(id) {
                    pool.ask(key, wish.is_some());
                    self.unsettled.insert(*id);
                }
            }
        }
        let due = backend.next(self.now);
        if backend.due != due {
            if let Some(before) = backend.due {
                self.timers.remove(&(before, key));
            }
            if let Some(due) = due {
                self.timers.insert((due, key));
            }
            backend.due = due;
        }
        if backend.trouble.is_some() || backend.told != Some(Record::Available { times: 0 }) {
            self.touched.insert(key);
        }
    }
}
