use std::{collections::BTreeMap, net::SocketAddr};

use etm_abi::{Backend, Target};
use etm_dataplane::monotonic;
use etm_model::{Contents, from_abi};
use serde::Serialize;

use crate::{
    balancing::{Algorithm, Balancing, state},
    get::{Row, service_name},
};

/// One backend of one Service port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackendRow {
    /// `namespace/name:port/TCP`.
    service: String,
    address: SocketAddr,
    /// `namespace/name`; empty where the endpoint names none.
    pod: String,
    state: &'static str,
    /// Its share beside those of the others; null where all are alike.
    weight: Option<u16>,
    /// Open connections that were given to it by load; null where load does not count.
    connections: Option<u32>,
}

impl Row for BackendRow {
    const HEADER: &'static [&'static str] =
        &["SERVICE", "ADDRESS", "POD", "STATE", "WEIGHT", "CONNECTIONS"];
    const SPARSE: &'static [&'static str] = &["WEIGHT", "CONNECTIONS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.address.to_string(),
            self.pod.clone(),
            self.state.to_owned(),
            self.weight.map(|weight| weight.to_string()).unwrap_or_default(),
            self.connections.map(|count| count.to_string()).unwrap_or_default(),
        ]
    }
}

/// Every backend of every Service port, each once however many addresses the Service has;
/// `connections` tells how many connections were given to a backend by load.
pub(super) fn rows(
    contents: &Contents,
    connections: impl Fn(u32) -> u32,
    filter: &str,
) -> Vec<BackendRow> {
    let mut rows = BTreeMap::new();
    for frontend in contents.frontends.values() {
        let service = service_name(contents, frontend.service);
        if service.starts_with(filter) {
            for target in contents.targets(frontend) {
                enter(contents, &service, target, &connections, &mut rows);
            }
        }
    }
    rows.into_values().collect()
}

/// Enters the members of a table.
fn enter(
    contents: &Contents,
    service: &str,
    target: Target,
    connections: impl Fn(u32) -> u32,
    rows: &mut BTreeMap<(String, SocketAddr), BackendRow>,
) {
    let now = monotonic();
    let balance = contents.balance(target);
    let balancing = Balancing::of(balance.map(|balance| &balance.header));
    let candidates = balance.filter(|_| balancing.weighted).map(|balance| &balance.candidates);
    let counted = balancing.algorithm == Algorithm::LeastConnections;
    for (at, id) in contents.members(target).iter().enumerate() {
        let backend = contents.backends.get(id).copied().unwrap_or_default();
        let address = address(&backend);
        let row = rows.entry((service.to_owned(), address)).or_insert_with(|| BackendRow {
            service: service.to_owned(),
            address,
            pod: contents.backend_names.get(id).cloned().unwrap_or_default(),
            state: state(&backend, now),
            weight: None,
            connections: None,
        });
        let candidate = candidates.and_then(|candidates| candidates.get(at));
        // Members of one address may be alike where those of another are not.
        row.weight = row.weight.or(candidate.map(|candidate| candidate.weight()));
        row.connections = row.connections.or(counted.then(|| connections(*id)));
    }
}

pub(super) fn address(backend: &Backend) -> SocketAddr {
    SocketAddr::new(from_abi(&backend.address), u16::from_be(backend.port))
}
