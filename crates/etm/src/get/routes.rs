use std::collections::{BTreeMap, BTreeSet};

use etm_abi::{FRONTEND_ROUTED, Target};
use etm_model::{Caller, CallerNumber, Contents, RouteShares, RouteTable};
use serde::Serialize;

use crate::get::{Row, service_name, services::address};

/// What some callers of one address of a Service get.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteRow {
    /// `namespace/name:port/TCP`.
    service: String,
    address: String,
    /// Who gets it, by name; empty for everyone else.
    callers: BTreeSet<String>,
    /// Among what their calls are divided; nothing where they are refused.
    shares: Vec<Share>,
}

/// A share of calls.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    /// 0 to 1.
    share: f64,
    /// Pods, or addresses where no Pod is known; none refuses.
    backends: Vec<String>,
}

/// Names that are written out of callers, and of the backends of a share.
const SHOWN: usize = 4;

impl Row for RouteRow {
    const HEADER: &'static [&'static str] = &["SERVICE", "ADDRESS", "CALLERS", "GET"];

    fn cells(&self) -> Vec<String> {
        let callers = match self.callers.len() {
            0 => "everyone else".to_owned(),
            _ => shown(self.callers.iter()),
        };
        let shares = self.shares.iter().map(|Share { share, backends }| {
            let backends = match backends.len() {
                0 => "refused".to_owned(),
                _ => shown(backends.iter()),
            };
            format!("{:.4}% {backends}", share * 100.0).replacen(".0000%", "%", 1)
        });
        let gets = match self.shares.len() {
            0 => "refused".to_owned(),
            _ => shares.collect::<Vec<_>>().join("; "),
        };
        vec![self.service.clone(), self.address.clone(), callers, gets]
    }
}

fn shown<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let rest = names.len().saturating_sub(SHOWN);
    let mut text = names.take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if rest > 0 {
        text += &format!(" and {rest} more");
    }
    text
}

/// Each class of callers of each frontend that has a route, by Service.
pub(super) fn rows(
    contents: &Contents,
    callers: &BTreeMap<u64, Caller>,
    filter: &str,
) -> Vec<RouteRow> {
    let names: BTreeMap<CallerNumber, &str> =
        callers.values().map(|caller| (caller.number, &*caller.name)).collect();
    let mut rows = Vec::new();
    for (key, frontend) in &contents.frontends {
        let service = service_name(contents, frontend.service);
        if frontend.flags & FRONTEND_ROUTED == 0 || !service.starts_with(filter) {
            continue;
        }
        let Some(route) = contents.routes.get(&frontend.table) else { continue };
        for (class, shares) in route.classes.iter().enumerate() {
            rows.push(RouteRow {
                service: service.clone(),
                address: address(key),
                callers: callers_of(route, class, &names),
                shares: shares_of(contents, shares),
            });
        }
    }
    rows.sort_by(|a, b| (&a.service, &a.address).cmp(&(&b.service, &b.address)));
    rows
}

fn callers_of(
    route: &RouteTable,
    class: usize,
    names: &BTreeMap<CallerNumber, &str>,
) -> BTreeSet<String> {
    let callers = route.callers.iter().filter(|(_, of)| usize::from(**of) == class);
    let name = |number| match names.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("(caller {number})"),
    };
    callers.map(|(number, _)| name(number)).collect()
}

fn shares_of(contents: &Contents, shares: &RouteShares) -> Vec<Share> {
    let total: f64 = shares.iter().map(|(weight, _)| f64::from(*weight)).sum();
    let share = |(weight, target): &(u32, Target)| Share {
        share: f64::from(*weight) / total,
        backends: contents.members(*target).iter().map(|id| name(contents, *id)).collect(),
    };
    shares.iter().map(share).collect()
}

fn name(contents: &Contents, id: u32) -> String {
    let pod = contents.backend_names.get(&id).filter(|name| !name.is_empty()).cloned();
    pod.unwrap_or_else(|| {
        let backend = contents.backends.get(&id).copied().unwrap_or_default();
        super::backends::address(&backend).to_string()
    })
}
