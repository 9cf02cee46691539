use etm_abi::FRONTEND_NODE_ONLY;
use etm_model::{Contents, FrontendKey, Listener};
use serde::Serialize;

use crate::get::{Row, service_name};

/// One address of a Service.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRow {
    /// `namespace/name:port/TCP`.
    service: String,
    address: String,
    /// Backends to choose from; 0 refuses.
    backends: u32,
    /// `everyone`, or `node` where only sockets of the node's network namespace reach it.
    callers: &'static str,
    /// The errno of a refusal.
    errno: u16,
}

impl Row for ServiceRow {
    const HEADER: &'static [&'static str] = &["SERVICE", "ADDRESS", "BACKENDS", "CALLERS", "ERRNO"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.address.clone(),
            self.backends.to_string(),
            self.callers.to_owned(),
            self.errno.to_string(),
        ]
    }
}

/// Every frontend, by Service.
pub(super) fn rows(contents: &Contents, filter: &str) -> Vec<ServiceRow> {
    let mut rows: Vec<ServiceRow> = contents
        .frontends
        .iter()
        .map(|(key, frontend)| ServiceRow {
            service: service_name(contents, frontend.service),
            address: address(key),
            backends: frontend.members,
            callers: if frontend.flags & FRONTEND_NODE_ONLY == 0 { "everyone" } else { "node" },
            errno: frontend.errno,
        })
        .filter(|row| row.service.starts_with(filter))
        .collect();
    rows.sort();
    rows
}

/// `10.96.0.1:80`, `[fd00::1]:80`, or with `*` for every other port.
fn address(key: &FrontendKey) -> String {
    let port = match key.listener {
        Listener::Port(port, _) => port.to_string(),
        Listener::AnyPort => "*".to_owned(),
    };
    match key.ip {
        std::net::IpAddr::V4(ip) => format!("{ip}:{port}"),
        std::net::IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}
