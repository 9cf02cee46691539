//! Callers by the hundred: Pods in one network namespace, told apart by their cgroups.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Context as _;
use etm_testkit::{Caller, Cgroup, Pod, Protocol, Session, objects};
use serde_json::Value;

use crate::{interrupt, stage::Stage};

/// A process in each of the Pods, waiting to call. Processes end before their cgroups.
pub(crate) struct Crowd {
    sessions: BTreeMap<String, Session>,
    _cgroups: Vec<Cgroup>,
}

impl Crowd {
    /// The Pods' manifests.
    pub(crate) fn manifests(network: &Pod, callers: u32) -> impl Iterator<Item = Value> {
        (0..callers).map(|number| {
            let pod = objects::Pod::of(network).namespace("shop");
            pod.set("metadata.name", Self::name(number)).set("metadata.uid", uid(number)).into()
        })
    }

    /// Makes the cgroups, as a kubelet lays them out, and starts a caller of the Service in each.
    pub(crate) fn gather(stage: &Stage, callers: u32, service: SocketAddr) -> anyhow::Result<Self> {
        let root = stage.cgroup.child("kubepods")?;
        let (mut sessions, mut cgroups) = (BTreeMap::new(), Vec::new());
        for number in 0..callers {
            interrupt::check()?;
            let pod = root.child(&format!("pod{}", uid(number)))?;
            let caller = Caller::new(&stage.client.place().within(&pod), Protocol::Tcp);
            sessions.insert(Self::name(number), caller.session(service)?);
            cgroups.push(pod);
        }
        cgroups.push(root);
        Ok(Self { sessions, _cgroups: cgroups })
    }

    /// The name of a Pod.
    pub(crate) fn name(number: u32) -> String {
        format!("caller-{number:03}")
    }

    /// The Pod that answers each of them, one connection each.
    pub(crate) fn find(&mut self) -> anyhow::Result<BTreeMap<String, String>> {
        let found = self.sessions.iter_mut().map(|(name, session)| {
            interrupt::check()?;
            let call = session.call()?;
            let pod = call.pod().with_context(|| format!("{name} was not answered: {call:?}"))?;
            Ok((name.clone(), pod.to_owned()))
        });
        found.collect()
    }
}

fn uid(number: u32) -> String {
    format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f")
}
