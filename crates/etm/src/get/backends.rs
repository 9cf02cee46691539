use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use etm_abi::{Backend, Target};
use etm_dataplane::{Reason, monotonic};
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
    /// What speaks against it; null where nothing does, or the agent has not said so.
    reason: Option<String>,
    /// For how long.
    since_seconds: Option<u64>,
    /// In how long it is tried again; null where no time brings it back.
    returns_in_seconds: Option<u64>,
    /// Its share beside those of the others; null where all are alike.
    weight: Option<u16>,
    /// Open connections that were given to it by load; null where load does not count.
    connections: Option<u32>,
}

impl Row for BackendRow {
    const HEADER: &'static [&'static str] = &[
        "SERVICE",
        "ADDRESS",
        "POD",
        "STATE",
        "WEIGHT",
        "CONNECTIONS",
        "RETURNS",
        "SINCE",
        "REASON",
    ];
    const SPARSE: &'static [&'static str] =
        &["WEIGHT", "CONNECTIONS", "RETURNS", "SINCE", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.address.to_string(),
            self.pod.clone(),
            self.state.to_owned(),
            self.weight.map(|weight| weight.to_string()).unwrap_or_default(),
            self.connections.map(|count| count.to_string()).unwrap_or_default(),
            seconds(self.returns_in_seconds),
            seconds(self.since_seconds),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

/// Every backend of every Service port, each once however many addresses the Service has;
/// `connections` tells how many connections were given to a backend by load.
pub(super) fn rows(
    contents: &Contents,
    reasons: &BTreeMap<u32, Reason>,
    connections: impl Fn(u32) -> u32,
    filter: &str,
) -> Vec<BackendRow> {
    let mut rows = BTreeMap::new();
    for frontend in contents.frontends.values() {
        let service = service_name(contents, frontend.service);
        if service.starts_with(filter) {
            for target in contents.targets(frontend) {
                enter(contents, reasons, &service, target, &connections, &mut rows);
            }
        }
    }
    rows.into_values().collect()
}

/// Enters the members of a table.
fn enter(
    contents: &Contents,
    reasons: &BTreeMap<u32, Reason>,
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
            reason: reasons.get(id).map(|reason| reason.text.clone()),
            since_seconds: reasons.get(id).map(|reason| since(reason, now)),
            returns_in_seconds: returns(&backend, now),
            weight: None,
            connections: None,
        });
        let candidate = candidates.and_then(|candidates| candidates.get(at));
        // Members of one address may be alike where those of another are not.
        row.weight = row.weight.or(candidate.map(|candidate| candidate.weight()));
        row.connections = row.connections.or(counted.then(|| connections(*id)));
    }
}

/// For how long a reason has held, in seconds.
pub(super) fn since(reason: &Reason, now: Duration) -> u64 {
    now.saturating_sub(reason.since).as_secs()
}

/// In how many seconds a backend is tried again, not before its time; none where no time brings it
/// back, and once it is tried.
pub(super) fn returns(backend: &Backend, now: Duration) -> Option<u64> {
    let until = (state(backend, now) == "ejected" && backend.until != 0)
        .then(|| Duration::from_nanos(backend.until).saturating_sub(now));
    until.map(|time| time.as_millis().div_ceil(1_000) as u64)
}

/// As tables have times.
pub(super) fn seconds(time: Option<u64>) -> String {
    time.map(|time| format!("{time}s")).unwrap_or_default()
}

pub(super) fn address(backend: &Backend) -> SocketAddr {
    SocketAddr::new(from_abi(&backend.address), u16::from_be(backend.port))
}
