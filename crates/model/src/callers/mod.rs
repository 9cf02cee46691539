//! The Pods of this node as callers: their cgroups on one side, what the cluster says of them on
//! the other, joined by UID.

mod numbers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use etm_abi as abi;

use crate::{
    caller::Caller,
    object::Node,
    pod::Pod,
    route::{CALLER_NODE_NUMBER, CallerPod},
    snapshot::Change,
};
use numbers::Numbers;

/// What the kernel's map of callers must hold, and what is written to it to get there.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// UID of the Pod, by cgroup.
    cgroups: BTreeMap<u64, Arc<str>>,
    /// Cgroups by UID: a Pod may have several where a node runs within a node.
    by_uid: HashMap<Arc<str>, BTreeSet<u64>>,
    pods: HashMap<Arc<str>, Caller>,
    node: Caller,
    numbers: Numbers,
    /// What routes are to know of Pods that came, changed or went.
    changes: Vec<Change>,
    /// What the map holds once what was given out is written.
    written: BTreeMap<u64, Caller>,
    /// What may have to be written.
    touched: BTreeSet<u64>,
}

/// One write to the map: a caller by its cgroup, or none where it is gone.
pub type CallerWrite = (u64, Option<Caller>);

impl Callers {
    /// Takes over what the map holds; what is not met again goes with [`Callers::settle`].
    #[must_use]
    pub fn adopt(written: BTreeMap<u64, Caller>) -> Self {
        let given = written.values().map(|caller| (Arc::clone(&caller.uid), caller.number));
        Self { numbers: Numbers::adopt(given), written, ..Self::default() }
    }

    /// A Pod's cgroup has come up.
    pub fn cgroup_made(&mut self, cgroup: u64, uid: Arc<str>) {
        self.cgroup_gone(cgroup);
        self.by_uid.entry(Arc::clone(&uid)).or_default().insert(cgroup);
        self.cgroups.insert(cgroup, uid);
    }

    /// A Pod's cgroup is gone.
    pub fn cgroup_gone(&mut self, cgroup: u64) {
        self.touched.insert(cgroup);
        if let Some(uid) = self.cgroups.remove(&cgroup)
            && let Some(others) = self.by_uid.get_mut(&uid)
        {
            others.remove(&cgroup);
            if others.is_empty() {
                self.by_uid.remove(&uid);
            }
        }
    }

    /// The cluster tells of a Pod of this node, or of its change.
    pub fn set_pod(&mut self, pod: &Pod) {
        let (ipv4, ipv6) = first_of_each(&pod.addresses);
        let number = self.numbers.give(&pod.uid);
        let name = pod.name.to_string().into();
        let caller = Caller { name, uid: Arc::clone(&pod.uid), ipv4, ipv6, number };
        if number != 0 {
            let routed = CallerPod {
                name: Some(pod.name.clone()),
                labels: pod.labels.iter().cloned().collect(),
                service_account: Arc::clone(&pod.service_account),
                addresses: pod.addresses.clone(),
            };
            self.changes.push(Change::SetCaller(number, Some(routed)));
        }
        if self.pods.get(&pod.uid) != Some(&caller) {
            self.pods.insert(Arc::clone(&pod.uid), caller);
            self.touch(&pod.uid);
        }
    }

    /// The cluster no longer has a Pod. Its cgroup, if it is still there, keeps its place, without
    /// the number.
    pub fn remove_pod(&mut self, uid: &str) {
        self.take_number(uid);
        if self.pods.remove(uid).is_some() {
            self.touch(uid);
        }
    }

    /// What routes are to be told of Pods, before what [`Callers::writes`] gives is written: a Pod
    /// must not call by a number that routes do not know yet.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The node's own addresses.
    pub fn set_node(&mut self, node: &Node) {
        let (ipv4, ipv6) = first_of_each(&node.addresses);
        self.node = Caller {
            name: Arc::clone(&node.name),
            uid: Arc::default(),
            ipv4,
            ipv6,
            number: CALLER_NODE_NUMBER,
        };
        self.touched.insert(abi::CALLER_NODE);
    }

    /// What must be written for what was told since the last time: first what makes room.
    #[must_use]
    pub fn writes(&mut self) -> Vec<CallerWrite> {
        let touched = std::mem::take(&mut self.touched);
        let mut writes: Vec<_> = touched.into_iter().filter_map(|id| self.write(id)).collect();
        writes.sort_by_key(|(_, caller)| caller.is_some());
        writes
    }

    /// What must be written so that the map holds nothing else than what was told: to be called
    /// once both sides were told in full, and after a write that failed.
    #[must_use]
    pub fn settle(&mut self) -> Vec<CallerWrite> {
        let strays = self
            .numbers
            .uids()
            .filter(|uid| !self.pods.contains_key(*uid) && !self.by_uid.contains_key(*uid));
        for uid in strays.cloned().collect::<Vec<_>>() {
            self.take_number(&uid);
        }
        self.touched.extend(self.written.keys().chain(self.cgroups.keys()));
        self.touched.insert(abi::CALLER_NODE);
        self.writes()
    }

    /// Replaces what the map is believed to hold, after a write that failed.
    pub fn correct(&mut self, written: BTreeMap<u64, Caller>) {
        self.written = written;
    }

    /// How many Pods' cgroups there are, and of how many the Pod is not known.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let known = |uid: &&Arc<str>| !self.pods.contains_key(*uid);
        (self.cgroups.len(), self.cgroups.values().filter(known).count())
    }

    fn write(&mut self, cgroup: u64) -> Option<CallerWrite> {
        let wanted = self.wanted(cgroup);
        if self.written.get(&cgroup) == wanted.as_ref() {
            return None;
        }
        match &wanted {
            Some(caller) => self.written.insert(cgroup, caller.clone()),
            None => self.written.remove(&cgroup),
        };
        Some((cgroup, wanted))
    }

    fn wanted(&self, cgroup: u64) -> Option<Caller> {
        if cgroup == abi::CALLER_NODE {
            return Some(self.node.clone());
        }
        let uid = self.cgroups.get(&cgroup)?;
        let pod = self.pods.get(uid).cloned();
        // What the map says of a Pod that the cluster does not tell of just now is better than
        // nothing: an agent that starts knows the cgroups before the API server has answered.
        let before = || {
            let before = self.written.get(&cgroup).filter(|before| before.uid == *uid)?;
            let number = self.numbers.of(uid).unwrap_or_default();
            Some(Caller { number, ..before.clone() })
        };
        let bare = || Caller { uid: Arc::clone(uid), ..Caller::default() };
        Some(pod.or_else(before).unwrap_or_else(bare))
    }

    fn take_number(&mut self, uid: &str) {
        if let Some(number) = self.numbers.take_back(uid) {
            self.changes.push(Change::SetCaller(number, None));
        }
    }

    fn touch(&mut self, uid: &str) {
        self.touched.extend(self.by_uid.get(uid).into_iter().flatten());
    }
}

/// The first address of each family.
fn first_of_each(addresses: &[IpAddr]) -> (Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>) {
    let ipv4 = addresses.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    let ipv6 = addresses.iter().find_map(|ip| match ip {
        IpAddr::V6(ip) => Some(*ip),
        IpAddr::V4(_) => None,
    });
    (ipv4, ipv6)
}
