//! A Pod on a hollow node: its network, its cgroup, its containers, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::container::{Container, Surroundings, now, sandbox};
use super::layout::{Layout, Qos};
use crate::cgroup::Cgroup;
use crate::node::Node;
use crate::place::Place;
use crate::{Error, pod};

/// A Pod that was taken. Its fields are in the order of their end.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) object: core::Pod,
    pub(super) started: Time,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) init: Vec<Container>,
    pub(super) containers: Vec<Container>,
    /// Those that a test holds back.
    pub(super) waiting: Vec<core::Container>,
    /// What the test says of its containers.
    pub(super) ready: bool,
    /// What each condition was told to be last, and since when.
    pub(super) conditions: BTreeMap<&'static str, (bool, Time)>,
    ending: Option<Ending>,
    network: Place,
    _sandbox: Container,
    cgroup: Cgroup,
    /// None where it shares the node's.
    _own: Option<pod::Pod>,
}

#[derive(Debug)]
struct Ending {
    since: Instant,
    grace: Duration,
}

impl Pod {
    /// Gives it a network and a cgroup, and starts its containers except for those held back.
    pub(super) fn start(
        object: core::Pod,
        node: &Node,
        layout: &Layout,
        held: &BTreeSet<String>,
        ready: bool,
    ) -> Result<Self, Error> {
        let spec = object.spec.clone().unwrap_or_default();
        let name = object.metadata.name.clone().unwrap_or_default();
        let class = object.status.as_ref().and_then(|status| status.qos_class.as_deref());
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let cgroup = layout.pod(Qos::of(class), uid)?;
        let (own, network, addresses) = if spec.host_network == Some(true) {
            (None, node.place(), vec![node.ipv4().into(), node.ipv6().into()])
        } else {
            let own = node.pod(&name)?;
            let (place, addresses) = (own.place(), vec![own.ipv4().into(), own.ipv6().into()]);
            (Some(own), place, addresses)
        };
        let around = Surroundings { pod: &name, network: &network, layout, cgroup: &cgroup };
        let sandbox = Container::start(&sandbox(), &around)?;
        let mut init = Vec::new();
        for container in spec.init_containers.iter().flatten() {
            let stays = container.restart_policy.as_deref() == Some("Always");
            let run = if stays { Container::start } else { Container::complete };
            init.push(run(container, &around)?);
        }
        let (waiting, starting): (Vec<_>, Vec<_>) =
            spec.containers.into_iter().partition(|container| held.contains(&container.name));
        let containers: Result<_, _> =
            starting.iter().map(|container| Container::start(container, &around)).collect();
        Ok(Self {
            started: now(),
            addresses,
            init,
            containers: containers?,
            waiting,
            ready,
            conditions: BTreeMap::new(),
            ending: None,
            network,
            _sandbox: sandbox,
            cgroup,
            _own: own,
            object,
        })
    }

    /// Its Kubernetes namespace and its name.
    pub(super) fn key(&self) -> (String, String) {
        let metadata = &self.object.metadata;
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }

    /// Its cgroup.
    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Starts the containers of this name that were held back; says whether there were any.
    pub(super) fn release(&mut self, name: &str, layout: &Layout) -> Result<bool, Error> {
        let (released, waiting): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|container| container.name == name);
        self.waiting = waiting;
        for container in &released {
            let started = self.begin(container, layout)?;
            self.containers.push(started);
        }
        Ok(!released.is_empty())
    }

    /// Ends a container without asking and starts another one in its place; says whether there is
    /// one of this name.
    pub(super) fn restart(&mut self, name: &str, layout: &Layout) -> Result<bool, Error> {
        let spec = self.object.spec.iter().flat_map(|spec| &spec.containers);
        let mut spec = spec.filter(|spec| spec.name == name);
        let Some(spec) = spec.next().cloned() else { return Ok(false) };
        let Some(at) = self.containers.iter().position(|container| container.name == name) else {
            return Ok(false);
        };
        let restarts = self.containers.remove(at).restarts + 1;
        let mut container = self.begin(&spec, layout)?;
        container.restarts = restarts;
        self.containers.insert(at, container);
        Ok(true)
    }

    fn begin(&self, spec: &core::Container, layout: &Layout) -> Result<Container, Error> {
        let (_, name) = self.key();
        let (network, cgroup) = (&self.network, &self.cgroup);
        Container::start(spec, &Surroundings { pod: &name, network, layout, cgroup })
    }

    /// Takes note of a newer version of the object, which may say that it is to end.
    pub(super) fn update(&mut self, object: core::Pod) {
        self.object = object;
        let metadata = &self.object.metadata;
        if metadata.deletion_timestamp.is_some() {
            let seconds = metadata.deletion_grace_period_seconds.unwrap_or_default();
            let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            let since = self.ending.as_ref().map_or_else(Instant::now, |ending| ending.since);
            self.ending = Some(Ending { since, grace });
        }
    }

    /// Whether it is on its way out.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Goes on with its end: after what it does before, each container is asked, and when its time
    /// is over, killed. Says whether all have ended.
    pub(super) fn advance(&mut self) -> bool {
        let Some(ending) = &self.ending else { return false };
        let passed = ending.since.elapsed();
        let spec = self.object.spec.as_ref();
        for container in self.init.iter_mut().chain(&mut self.containers) {
            let containers = spec.iter().flat_map(|spec| &spec.containers);
            let pause = containers.filter(|spec| spec.name == container.name).find_map(pause);
            if passed >= ending.grace {
                container.kill();
            } else if passed >= pause.unwrap_or_default() {
                container.terminate();
            }
        }
        self.init.iter_mut().chain(&mut self.containers).all(|container| !container.is_running())
    }

    /// Whether the conditions that its readiness gates name hold.
    pub(super) fn gates_are_open(&self) -> bool {
        let gates = self.object.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
        let conditions = self.object.status.as_ref().and_then(|s| s.conditions.as_ref());
        gates.map(|gate| &gate.condition_type).all(|wanted| {
            let mut known = conditions.into_iter().flatten();
            known.any(|condition| condition.type_ == *wanted && condition.status == "True")
        })
    }
}

/// How long a container sleeps before it is asked to end.
fn pause(spec: &core::Container) -> Option<Duration> {
    let sleep = spec.lifecycle.as_ref()?.pre_stop.as_ref()?.sleep.as_ref()?;
    u64::try_from(sleep.seconds).ok().map(Duration::from_secs)
}
