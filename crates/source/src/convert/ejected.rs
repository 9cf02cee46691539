//! What the controller has written of Pods and nodes that do not work.

use std::sync::Arc;

use etm_api as api;
use etm_model::{Ejected, EjectedEndpoint, EjectedNode, EjectedNodes, Monitor};
use serde_json::Value;

use super::{Converted, fields, metadata::Identity, monitor::Check, report::Report};

/// The one `NodeHealth` that counts.
pub const NODE_HEALTH: &str = "cluster";

/// `status.ejected` of a policy, as far as it can be read: others may have written it.
pub(super) fn pods(status: &Value) -> Arc<[Ejected]> {
    each::<api::EjectedPod>(status)
        .filter_map(|pod| {
            let endpoint = match (pod.pod, pod.address) {
                (Some(pod), _) => EjectedEndpoint::Pod(pod.into()),
                (None, address) => EjectedEndpoint::Address(address?.parse().ok()?),
            };
            Some(Ejected {
                endpoint,
                monitor: pod.monitor.into(),
                message: pod.message.into(),
                since: Some(pod.since.0.as_second()),
            })
        })
        .collect()
}

/// Converts a `NodeHealth`; one that has another name than [`NODE_HEALTH`] says nothing.
#[must_use]
pub fn node_health(object: &api::UncheckedNodeHealth) -> Converted<EjectedNodes> {
    let identity = match Identity::cluster_wide("NodeHealth", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name.name;
    let mut report = Report::on(format!("NodeHealth {name}"));
    if *name != *NODE_HEALTH {
        let hint = format!("the one that counts is named {NODE_HEALTH}; this one is left out");
        report.add("metadata.name", "is another", hint);
        return Converted::refused(report.finish());
    }
    let mut nodes = EjectedNodes::new();
    for node in each::<api::EjectedNode>(&object.status) {
        let ejected = EjectedNode {
            reason: node.reason.into(),
            message: node.message.into(),
            since: Some(node.since.0.as_second()),
        };
        nodes.entry(node.node.into()).or_insert(ejected);
    }
    let (object, created) = (Some(nodes), identity.created);
    Converted { object, created, proxy: None, problems: report.finish(), stays: None }
}

/// Converts a `NodeMonitor`; one with anything wrong counts as it was before.
#[must_use]
pub fn node_monitor(object: &api::UncheckedNodeMonitor) -> Converted<Monitor> {
    let identity = match Identity::cluster_wide("NodeMonitor", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name;
    let mut report = Report::on(format!("NodeMonitor {}", name.name));
    let mut unknown = Vec::new();
    let monitor = match fields::read::<api::NodeMonitorSpec>("spec", &object.spec, &mut unknown) {
        Ok(api::NodeMonitorSpec { prometheus, alertmanager }) => {
            let mut check = Check { report: &mut report, hint };
            check.monitor("spec", &name.name, prometheus.as_ref(), alertmanager.as_ref())
        }
        Err((field, reason)) => {
            report.add(field, reason, hint("correct it"));
            None
        }
    };
    for field in unknown {
        report.add(field, "is not known", hint("correct its name or take it away"));
    }
    let problems = report.finish();
    let object = monitor.filter(|_| problems.is_empty());
    let stays = object.is_none().then_some(name);
    Converted { object, created: identity.created, proxy: None, problems, stays }
}

fn hint(hint: &str) -> String {
    format!("{hint}; until then nobody is ejected by it")
}

/// The items of `ejected` of a status that can be read.
fn each<T: serde::de::DeserializeOwned>(status: &Value) -> impl Iterator<Item = T> {
    let items = status.get("ejected").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| T::deserialize(item).ok())
}
