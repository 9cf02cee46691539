//! The objects in the API server, with all the fields that controllers would give them: what a
//! change costs depends on the size of the whole object.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use etm_testkit::ControlPlane;
use serde_json::{Value, json};

use crate::writers;

/// Endpoints of each Service while none is away.
pub(crate) const ENDPOINTS: usize = 10;

/// The network of the endpoints.
pub(crate) const PODS: &str = "10.128.0.0/9";

/// The Kubernetes namespace of all of it.
pub(crate) const NAMESPACE: &str = "bench";

/// The Services' names but for their numbers.
pub(crate) const PREFIX: &str = "service-";

/// Shared evenly by the endpoints.
const NODES: usize = 100;

/// The port of every Service.
const PORT: u16 = 80;

/// Services with [`ENDPOINTS`] each, or with one less.
pub(crate) struct Cluster {
    /// How many endpoints each has by now.
    members: Vec<usize>,
    /// How many Services were changed so far; the next one is further on.
    changed: usize,
}

/// That a Service is to have so many endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) service: usize,
    pub(crate) members: usize,
}

impl Cluster {
    /// Creates all objects, by several connections at once.
    pub(crate) fn create(control_plane: &ControlPlane, services: usize) -> anyhow::Result<Self> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
        });
        control_plane.api().create("/api/v1/namespaces", &namespace)?;
        let config = control_plane.kubeconfig();
        let path = format!("/api/v1/namespaces/{NAMESPACE}/services");
        let uids = writers::each(config, services, |api, number| {
            let made = api.create(&path, &service(number))?;
            made["metadata"]["uid"].as_str().map(str::to_owned).context("a Service without a uid")
        })?;
        let path = slices();
        writers::each(config, services, |api, number| {
            Ok(api.create(&path, &slice(number, &uids[number])).map(drop)?)
        })?;
        Ok(Self { members: vec![ENDPOINTS; services], changed: 0 })
    }

    /// How much it is.
    pub(crate) fn words(&self) -> String {
        let services = self.members.len();
        format!("{services} Services, {} endpoints", services * ENDPOINTS)
    }

    /// How many Services there are.
    pub(crate) fn services(&self) -> usize {
        self.members.len()
    }

    /// The next changes, each of another Service: one endpoint goes, or comes back.
    pub(crate) fn changes(&mut self, count: usize) -> Vec<Change> {
        let numbers = self.changed..self.changed + count;
        self.changed = numbers.end;
        let services = self.members.len();
        numbers
            .map(|number| {
                // Far from each other, in no order that a list has.
                let service = number.wrapping_mul(7_919) % services;
                let members = &mut self.members[service];
                *members = if *members == ENDPOINTS { ENDPOINTS - 1 } else { ENDPOINTS };
                Change { service, members: *members }
            })
            .collect()
    }
}

impl Change {
    /// Where the object is that changes.
    pub(crate) fn path(self) -> String {
        format!("{}/{}", slices(), slice_name(self.service))
    }

    /// What changes of it, with the time at which that was caused, as the controller tells it.
    pub(crate) fn patch(self, cause: &str) -> Value {
        json!({
            "metadata": {"annotations": {"endpoints.kubernetes.io/last-change-trigger-time": cause}},
            "endpoints": endpoints(self.service, self.members),
        })
    }
}

/// Where a Service is reached.
pub(crate) fn address(number: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(after(Ipv4Addr::new(10, 96, 1, 0), number)), PORT)
}

fn slices() -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices")
}

fn name(number: usize) -> String {
    format!("{PREFIX}{number}")
}

fn slice_name(number: usize) -> String {
    format!("{PREFIX}{number}-x7k2p")
}

fn service(number: usize) -> Value {
    let name = name(number);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench"},
        },
        "spec": {
            "clusterIP": address(number).ip(),
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "main", "port": PORT, "targetPort": 8080}],
        },
    })
}

fn slice(number: usize, owner: &str) -> Value {
    let service = name(number);
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(number),
            "generateName": format!("{service}-"),
            "annotations": {
                "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z",
            },
            "labels": {
                "app.kubernetes.io/name": service,
                "app.kubernetes.io/part-of": "bench",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": service,
            },
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": service,
                "uid": owner,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "ports": [{"name": "main", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints(number, ENDPOINTS),
    })
}

/// The first so many.
fn endpoints(service: usize, count: usize) -> Vec<Value> {
    let endpoint = |number: usize| {
        json!({
            "addresses": [after(Ipv4Addr::new(10, 128, 0, 0), number)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": format!("node-{}", number % NODES),
            "targetRef": {
                "kind": "Pod",
                "namespace": NAMESPACE,
                "name": format!("{PREFIX}{service}-5f7d8c9b64-{number:05}"),
                "uid": format!("8e0c2a3b-9f5d-4c1e-8a77-{number:012x}"),
            },
            "zone": format!("zone-{}", number % 3),
        })
    };
    (service * ENDPOINTS..).take(count).map(endpoint).collect()
}

fn after(first: Ipv4Addr, number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + number as u32)
}
