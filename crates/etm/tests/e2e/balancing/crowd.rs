//! Callers by the dozen: Pods that share one network namespace, where only their cgroups tell them
//! apart, so that many of them take little time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etm_dataplane::View;
use etm_testkit::{Caller, Cgroup, Place, Pod, Protocol, objects};
use serde_json::Value;

use crate::scene::Scene;
use etm_testkit::wait::until;

/// Pods that call, each in a cgroup of its own as the kubelet lays it out, below one agent's.
pub(crate) struct Crowd {
    place: Place,
    /// Of containers, by the name of the Pod.
    cgroups: BTreeMap<String, Cgroup>,
    _pods: Vec<Cgroup>,
    _root: Cgroup,
}

impl Crowd {
    /// So many callers in the network of a Pod, covered by the agent of a cgroup.
    pub(crate) fn new(cgroup: &Cgroup, network: &Pod, callers: u32) -> Self {
        let root = cgroup.child("kubepods").expect("a cgroup");
        let (mut cgroups, mut pods) = (BTreeMap::new(), Vec::new());
        for number in 0..callers {
            let pod = root.child(&format!("pod{}", uid(number))).expect("a cgroup");
            cgroups.insert(name(number), pod.child("container").expect("a cgroup"));
            pods.push(pod);
        }
        Self { place: network.place(), cgroups, _pods: pods, _root: root }
    }

    /// The Pods' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.cgroups.keys().map(String::as_str)
    }

    /// A caller in one of the Pods.
    pub(crate) fn caller(&self, name: &str, protocol: Protocol) -> Caller {
        Caller::new(&self.place.within(&self.cgroups[name]), protocol)
    }

    /// The Pod that answers each caller, one call each, made in a way of its own.
    #[track_caller]
    pub(crate) fn found_by(
        &self,
        target: SocketAddr,
        protocol: Protocol,
        way: impl Fn(Caller) -> Caller,
    ) -> BTreeMap<String, String> {
        let found = self.cgroups.keys().map(|name| {
            let call = way(self.caller(name, protocol)).call(target).expect("a call");
            let pod = call.pod().unwrap_or_else(|| panic!("{name} is answered: {call:?}"));
            (name.clone(), pod.to_owned())
        });
        found.collect()
    }

    /// The same over plain TCP.
    #[track_caller]
    pub(crate) fn found(&self, target: SocketAddr) -> BTreeMap<String, String> {
        self.found_by(target, Protocol::Tcp, |caller| caller)
    }

    /// Waits until the agent with these pins knows every one of them.
    #[track_caller]
    pub(crate) fn until_known(&self, pin: &std::path::Path) {
        until("every caller is known", || {
            let known = View::open(pin).expect("maps").callers().expect("callers");
            let pods =
                known.iter().filter(|(cgroup, known)| **cgroup != 0 && !known.name.is_empty());
            pods.count() == self.cgroups.len()
        });
    }
}

/// The manifests of so many callers, half of them of namespace `green` and half of `amber`, each with
/// addresses of its own.
pub(crate) fn manifests(callers: u32) -> Vec<Value> {
    let pod = |number| {
        objects::Pod::new(&name(number), &addresses(number))
            .namespace(namespace(number))
            .set("metadata.uid", uid(number))
            .into()
    };
    (0..callers).map(pod).collect()
}

/// Writes down so many callers.
pub(crate) fn declare(scene: &Scene, callers: u32) {
    scene.manifests.apply("callers.yaml", &manifests(callers)).expect("a manifest");
}

/// Whose Pods differ between two states.
pub(crate) fn moved(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    assert!(before.keys().eq(after.keys()), "the same callers");
    let changed = before.iter().filter(|(name, pod)| after[*name] != **pod);
    changed.map(|(name, _)| name.clone()).collect()
}

/// Whose Pod this is.
pub(crate) fn callers_of(found: &BTreeMap<String, String>, pod: &str) -> BTreeSet<String> {
    found.iter().filter(|(_, found)| *found == pod).map(|(name, _)| name.clone()).collect()
}

/// How many Pods there are.
pub(crate) fn pods(found: &BTreeMap<String, String>) -> BTreeSet<&str> {
    found.values().map(String::as_str).collect()
}

pub(crate) fn name(number: u32) -> String {
    format!("caller-{number:03}")
}

pub(crate) fn namespace(number: u32) -> &'static str {
    if number.is_multiple_of(2) { "green" } else { "amber" }
}

fn uid(number: u32) -> String {
    format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f")
}

fn addresses(number: u32) -> [IpAddr; 2] {
    let ipv4 = Ipv4Addr::from(0x0af5_0000 + number);
    let ipv6 = Ipv6Addr::from((0xfd00_0010_0245_u128 << 80) + u128::from(number));
    [ipv4.into(), ipv6.into()]
}
