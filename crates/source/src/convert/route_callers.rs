//! Whom a rule is for, checked as its schema checks it.

use std::sync::Arc;

use etm_api as api;
use etm_model::{CallerSelector, IpNet};

use super::{labels::selector, report::Report};

/// Entries of one list, at most.
const ENTRIES: usize = 64;

/// Checks one entry of `from`; tells of all that is wrong, with what it means there.
pub(super) fn callers(
    given: &api::RouteCallers,
    field: &str,
    hint: fn(&str) -> String,
    report: &mut Report,
) -> CallerSelector {
    if *given == api::RouteCallers::default() {
        let way = "name at least one of namespaces, namespaceSelector, podSelector, \
                   serviceAccounts, nodes and addressBlocks, or take from away, which is everyone";
        report.add(field, "says nothing of callers", hint(way));
    }
    let mut names = |name: &str, listed: &Option<Vec<String>>| {
        let field = format!("{field}.{name}");
        let listed = listed.as_ref()?;
        counted(listed.len(), &field, hint, report);
        for (i, name) in listed.iter().enumerate() {
            if name.is_empty() {
                let way = hint("write a name, or take it away");
                report.add(format!("{field}[{i}]"), "is empty", way);
            }
        }
        Some(listed.iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>())
    };
    let namespaces = names("namespaces", &given.namespaces);
    let service_accounts = names("serviceAccounts", &given.service_accounts);
    let nodes = names("nodes", &given.nodes);
    let mut labels = |name: &str, given: &Option<api::LabelSelector>| {
        given.as_ref().map(|given| selector(given, &format!("{field}.{name}"), hint, report))
    };
    CallerSelector {
        namespaces,
        namespace_labels: labels("namespaceSelector", &given.namespace_selector),
        pod_labels: labels("podSelector", &given.pod_selector),
        service_accounts,
        members_of: None,
        nodes,
        blocks: blocks(given, &format!("{field}.addressBlocks"), hint, report),
    }
}

fn blocks(
    given: &api::RouteCallers,
    field: &str,
    hint: fn(&str) -> String,
    report: &mut Report,
) -> Option<Vec<IpNet>> {
    let listed = given.address_blocks.as_ref()?;
    counted(listed.len(), field, hint, report);
    let mut blocks = Vec::with_capacity(listed.len());
    for (i, text) in listed.iter().enumerate() {
        match text.parse::<IpNet>() {
            Ok(block) => blocks.push(block.trunc()),
            Err(_) => report.add(
                format!("{field}[{i}]"),
                format!("`{text}` is not a block of addresses"),
                hint("write it as 10.0.0.0/8 or fd00::/8"),
            ),
        }
    }
    Some(blocks)
}

fn counted(count: usize, field: &str, hint: fn(&str) -> String, report: &mut Report) {
    if !(1..=ENTRIES).contains(&count) {
        let reason = format!("has {count} entries, which is not within 1 and {ENTRIES}");
        report.add(field, reason, hint("correct it, or take it away"));
    }
}
