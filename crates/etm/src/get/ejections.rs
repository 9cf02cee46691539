use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use etm_abi::{BACKEND_AVAILABLE, Outcomes as Counted};
use etm_dataplane::{Reason, monotonic};
use etm_model::Contents;
use serde::Serialize;

use crate::{
    balancing::state,
    get::{
        Row,
        backends::{address, returns, seconds, since},
        service_name,
    },
};

/// One backend that something speaks against.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EjectionRow {
    /// Service ports that it is a member of, each `namespace/name:port/TCP`.
    services: BTreeSet<String>,
    address: SocketAddr,
    /// `namespace/name`; empty where the endpoint names none.
    pod: String,
    state: &'static str,
    /// What speaks against it; null where the agent has not said so.
    reason: Option<String>,
    /// For how long.
    since_seconds: Option<u64>,
    /// In how long it is tried again; null where no time brings it back, and once it is tried.
    returns_in_seconds: Option<u64>,
    /// How often it was ejected lately.
    times: u16,
    /// Failures since the last success.
    failures_in_row: u32,
    connections: Outcomes,
}

/// What became of the connections that this node sent there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcomes {
    established: u32,
    refused: u32,
    timed_out: u32,
    /// Of those that were established.
    reset: u32,
}

impl Row for EjectionRow {
    const HEADER: &'static [&'static str] = &[
        "SERVICES",
        "ADDRESS",
        "POD",
        "STATE",
        "RETURNS",
        "TIMES",
        "IN ROW",
        "ESTABLISHED",
        "REFUSED",
        "TIMED OUT",
        "RESET",
        "SINCE",
        "REASON",
    ];

    fn cells(&self) -> Vec<String> {
        let Outcomes { established, refused, timed_out, reset } = self.connections;
        vec![
            self.services.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            self.address.to_string(),
            self.pod.clone(),
            self.state.to_owned(),
            seconds(self.returns_in_seconds),
            self.times.to_string(),
            self.failures_in_row.to_string(),
            established.to_string(),
            refused.to_string(),
            timed_out.to_string(),
            reset.to_string(),
            seconds(self.since_seconds),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

/// Every member of a table that is not available, or that the agent has something to say against;
/// `outcomes` tells what became of the connections to a backend.
pub(super) fn rows(
    contents: &Contents,
    reasons: &BTreeMap<u32, Reason>,
    outcomes: impl Fn(u32) -> Counted,
    filter: &str,
) -> Vec<EjectionRow> {
    let now = monotonic();
    let mut services: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for frontend in contents.frontends.values() {
        let targets = contents.targets(frontend).into_iter();
        let ids = targets.flat_map(|target| contents.members(target));
        for id in ids.filter(|id| is_told(contents, reasons, **id)) {
            services.entry(*id).or_default().insert(service_name(contents, frontend.service));
        }
    }
    let mut rows: Vec<_> = services
        .into_iter()
        .filter(|(_, services)| services.iter().any(|name| name.starts_with(filter)))
        .map(|(id, services)| {
            let backend = contents.backends.get(&id).copied().unwrap_or_default();
            let state = state(&backend, now);
            let reason = reasons.get(&id);
            let Counted { established, refused, timed_out, reset, .. } = outcomes(id);
            EjectionRow {
                services,
                address: address(&backend),
                pod: contents.backend_names.get(&id).cloned().unwrap_or_default(),
                state,
                reason: reason.map(|reason| reason.text.clone()),
                since_seconds: reason.map(|reason| since(reason, now)),
                returns_in_seconds: returns(&backend, now),
                times: backend.times,
                failures_in_row: backend.failures,
                connections: Outcomes { established, refused, timed_out, reset },
            }
        })
        .collect();
    rows.sort_by(|one, other| (&one.services, one.address).cmp(&(&other.services, other.address)));
    rows
}

fn is_told(contents: &Contents, reasons: &BTreeMap<u32, Reason>, id: u32) -> bool {
    let state = contents.backends.get(&id).map(|backend| backend.state);
    state.is_some_and(|state| state != BACKEND_AVAILABLE) || reasons.contains_key(&id)
}
