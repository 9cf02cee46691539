use std::collections::BTreeSet;

use etm_abi::{FRONTEND_NODE_ONLY, FRONTEND_ROUTED, FRONTEND_SOURCES, Frontend};
use etm_model::{Contents, FrontendKey, Listener};
use serde::Serialize;

use crate::{
    balancing::Balancing,
    get::{Row, service_name},
};

/// One address of a Service.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceRow {
    /// `namespace/name:port/TCP`.
    service: String,
    address: String,
    /// Backends to choose from; 0 refuses.
    backends: usize,
    /// Whether who calls decides from which of them, or shares of calls do: see `etm get routes`.
    routed: bool,
    balancing: Balancing,
    /// `everyone`; `node` where only sockets of the node's network namespace reach it; or ranges of
    /// addresses with commas between, `none` where there is no range.
    callers: String,
    /// The errno of a refusal.
    errno: u16,
}

impl Row for ServiceRow {
    const HEADER: &'static [&'static str] =
        &["SERVICE", "ADDRESS", "BACKENDS", "BALANCING", "CALLERS", "ERRNO"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.clone(),
            self.address.clone(),
            self.backends.to_string(),
            if self.routed { "by route".to_owned() } else { self.balancing.to_string() },
            self.callers.clone(),
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
            backends: backends(contents, frontend),
            routed: frontend.flags & FRONTEND_ROUTED != 0,
            balancing: Balancing::of(
                contents.balance(frontend.target()).map(|balance| &balance.header),
            ),
            callers: callers(contents, key, frontend.flags),
            errno: frontend.errno,
        })
        .filter(|row| row.service.starts_with(filter))
        .collect();
    rows.sort();
    rows
}

/// How many different backends there are to choose from, whoever calls.
fn backends(contents: &Contents, frontend: &Frontend) -> usize {
    let targets = contents.targets(frontend).into_iter();
    targets.flat_map(|target| contents.members(target)).collect::<BTreeSet<_>>().len()
}

fn callers(contents: &Contents, key: &FrontendKey, flags: u16) -> String {
    if flags & FRONTEND_SOURCES != 0 {
        let ranges = contents.sources.get(key).into_iter().flatten();
        let ranges: Vec<_> = ranges.map(ToString::to_string).collect();
        return if ranges.is_empty() { "none".to_owned() } else { ranges.join(", ") };
    }
    if flags & FRONTEND_NODE_ONLY == 0 { "everyone" } else { "node" }.to_owned()
}

/// `10.96.0.1:80`, `[fd00::1]:80`, or with `*` for every other port.
pub(super) fn address(key: &FrontendKey) -> String {
    let port = match key.listener {
        Listener::Port(port, _) => port.to_string(),
        Listener::AnyPort => "*".to_owned(),
    };
    match key.ip {
        std::net::IpAddr::V4(ip) => format!("{ip}:{port}"),
        std::net::IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}
