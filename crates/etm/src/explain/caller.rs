//! Who calls, as the maps know it.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::bail;
use etm_abi::{self as abi, Address, CALLER_NAME_LEN, CALLER_NODE, mapped};
use etm_dataplane::View;
use etm_model::{Caller, from_abi};

use crate::explain::{asked::From, choices};

/// The caller that is asked about.
pub(super) struct Known {
    pub(super) from: From,
    /// Id of its cgroup, and what the programs find under it; none for one that they do not know.
    pub(super) record: Option<(u64, abi::Caller)>,
    /// `namespace/pod`, or the node's name.
    pub(super) name: String,
    /// Whether its sockets are in the node's network namespace.
    pub(super) on_node: bool,
    /// How many cgroups have its name: more than one while a Pod ends and comes back.
    pub(super) cgroups: usize,
}

impl Known {
    /// Finds whoever is asked about.
    pub(super) fn find(view: &View, from: &From) -> anyhow::Result<Self> {
        let callers = view.callers()?;
        let found = match from {
            From::Unknown => Vec::new(),
            From::Node if callers.contains_key(&CALLER_NODE) => vec![CALLER_NODE],
            From::Node => bail!(
                "the maps do not know the node as a caller yet: etm agent tells them once it has \
                 started; see etm get callers"
            ),
            From::Pod(name) => pods(&callers, name)?,
        };
        let Some(cgroup) = found.last().copied() else {
            let name = String::new();
            return Ok(Self { from: from.clone(), record: None, name, on_node: false, cgroups: 0 });
        };
        let name = callers.get(&cgroup).map(|caller| caller.name.to_string()).unwrap_or_default();
        Ok(Self {
            from: from.clone(),
            record: view.live().caller(cgroup)?.map(|record| (cgroup, record)),
            name,
            on_node: cgroup == CALLER_NODE || on_node(&callers, cgroup),
            cgroups: found.len(),
        })
    }

    /// Its address of the family of a Service's address; none where none is known.
    pub(super) fn address(&self, service: IpAddr) -> Option<Address> {
        let (_, record) = self.record?;
        let address = if service.is_ipv4() { mapped(record.ipv4) } else { record.ipv6 };
        Some(address).filter(|address| !from_abi(address).is_unspecified())
    }
}

/// The cgroups of a Pod, the youngest last.
fn pods(callers: &BTreeMap<u64, Caller>, name: &str) -> anyhow::Result<Vec<u64>> {
    let is = |known: &str| {
        // The maps cut a name that is longer.
        known == name || known.len() == CALLER_NAME_LEN && name.starts_with(known)
    };
    let of_pods = || callers.iter().filter(|(cgroup, _)| **cgroup != CALLER_NODE);
    let found: Vec<_> =
        of_pods().filter(|(_, caller)| is(&caller.name)).map(|(cgroup, _)| *cgroup).collect();
    if found.is_empty() {
        let names = of_pods().map(|(_, caller)| &*caller.name).filter(|name| !name.is_empty());
        bail!(
            "--from: this node has no Pod {name}: {}; ask on the node where it runs, or give node \
             or unknown",
            choices(names, name)
        );
    }
    Ok(found)
}

/// Whether a Pod is in the node's network, which its addresses tell.
fn on_node(callers: &BTreeMap<u64, Caller>, cgroup: u64) -> bool {
    let (Some(node), Some(pod)) = (callers.get(&CALLER_NODE), callers.get(&cgroup)) else {
        return false;
    };
    (pod.ipv4.is_some() && pod.ipv4 == node.ipv4) || (pod.ipv6.is_some() && pod.ipv6 == node.ipv6)
}
