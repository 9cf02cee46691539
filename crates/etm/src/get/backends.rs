use std::{collections::BTreeSet, net::SocketAddr};

use etm_abi::{BACKEND_AVAILABLE, Backend};
use etm_model::{Contents, from_abi};
use serde::Serialize;

use crate::get::{Row, service_name};

/// One backend of one Service port.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackendRow {
    /// `namespace/name:port/TCP`.
    service: String,
    address: SocketAddr,
    /// `namespace/name`; empty where the endpoint names none.
    pod: String,
    state: &'static str,
}

impl Row for BackendRow {
    const HEADER: &'static [&'static str] = &["SERVICE", "ADDRESS", "POD", "STATE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.address.to_string(),
            self.pod.clone(),
            self.state.to_owned(),
        ]
    }
}

/// Every backend of every Service port, each once however many addresses the Service has.
pub(super) fn rows(contents: &Contents, filter: &str) -> Vec<BackendRow> {
    let rows: BTreeSet<BackendRow> = contents
        .frontends
        .values()
        .filter_map(|frontend| {
            let service = service_name(contents, frontend.service);
            let table = contents.tables.get(&(frontend.table, frontend.members))?;
            service.starts_with(filter).then_some((service, table))
        })
        .flat_map(|(service, table)| {
            table.iter().map(move |id| row(contents, service.clone(), *id))
        })
        .collect();
    rows.into_iter().collect()
}

fn row(contents: &Contents, service: String, id: u32) -> BackendRow {
    let backend = contents.backends.get(&id).copied().unwrap_or_default();
    BackendRow {
        service,
        address: address(&backend),
        pod: contents.backend_names.get(&id).cloned().unwrap_or_default(),
        state: if backend.state == BACKEND_AVAILABLE { "available" } else { "absent" },
    }
}

fn address(backend: &Backend) -> SocketAddr {
    SocketAddr::new(from_abi(&backend.address), u16::from_be(backend.port))
}
