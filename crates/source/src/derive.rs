//! EndpointSlices made from Pods, as the EndpointSlice controller makes them.

use std::{collections::BTreeMap, sync::Arc};

use etm_model::{Endpoint, EndpointSlice, Family, ObjectName, SlicePort};

use crate::convert::{Pod, PodSelection, Target, TargetPort, family_name};

/// The slices of a Service with a selector that has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// One slice for each family and each way in which Pods resolve the named ports.
    pub slices: Vec<EndpointSlice>,
    /// Places in `spec.ports` of named target ports that no Pod has, though there are Pods.
    pub unresolved: Vec<usize>,
}

/// Makes the slices of a Service from those of `pods` that its selector means; they are to be of
/// its namespace, and their order decides that of the endpoints.
pub fn endpoint_slices<'a>(
    service: &ObjectName,
    selection: &PodSelection,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Derived {
    let mut groups: BTreeMap<(Family, Vec<Option<u16>>), Vec<Endpoint>> = BTreeMap::new();
    let mut resolved = vec![false; selection.ports.len()];
    let mut any = false;
    for pod in pods.into_iter().filter(|pod| pod.matches(&selection.selector)) {
        any = true;
        let ports: Vec<_> = selection.ports.iter().map(|port| resolve(port, pod)).collect();
        for (resolved, port) in resolved.iter_mut().zip(&ports) {
            *resolved |= port.is_some();
        }
        if ports.iter().all(Option::is_none) {
            continue;
        }
        for family in &selection.families {
            // Further addresses of one family would never be used.
            let address = pod.addresses.iter().copied().find(|ip| Family::of(*ip) == *family);
            let Some(address) = address else { continue };
            groups.entry((*family, ports.clone())).or_default().push(Endpoint {
                address,
                ready: selection.publish_not_ready || (pod.ready && !pod.terminating),
                serving: pod.ready,
                terminating: pod.terminating,
                pod: Some(pod.name.clone()),
                locality: pod.locality.clone(),
            });
        }
    }
    let named: Arc<str> = Arc::clone(&service.name);
    let slices = (0..).zip(groups).map(|(number, ((family, ports), endpoints))| EndpointSlice {
        name: ObjectName {
            namespace: Arc::clone(&service.namespace),
            name: format!("{named}-{}-{number}", family_name(family).to_lowercase()).into(),
        },
        service: Arc::clone(&named),
        family,
        ports: slice_ports(&selection.ports, &ports),
        endpoints,
    });
    let slices = slices.collect();
    let unresolved = selection.ports.iter().zip(resolved);
    let unresolved = unresolved.filter(|(_, resolved)| any && !resolved);
    Derived { slices, unresolved: unresolved.map(|(port, _)| port.index).collect() }
}

fn resolve(port: &TargetPort, pod: &Pod) -> Option<u16> {
    match &port.target {
        Target::Number(number) => Some(*number),
        Target::Name(name) => {
            let mut ports = pod.ports.iter();
            let found = ports.find(|p| p.name == *name && p.protocol == port.protocol);
            found.map(|found| found.port)
        }
    }
}

fn slice_ports(ports: &[TargetPort], resolved: &[Option<u16>]) -> Vec<SlicePort> {
    let ports = ports.iter().zip(resolved).filter_map(|(port, number)| {
        let name = Arc::clone(&port.name);
        number.map(|number| SlicePort { name, protocol: port.protocol, port: number })
    });
    ports.collect()
}
