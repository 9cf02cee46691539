//! `status.parents` of a route of the Gateway API, of which each controller has entries of its own.

use etm_model::RouteCondition;
use etm_source::{
    convert::{GatewayRoute, NotAccepted, Parent},
    kubernetes::ObservedRoute,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::{Value, json};

use crate::{
    policies::condition,
    routes::{ACCEPTED, both, read},
};

/// By which etm's entries are known.
pub const CONTROLLER_NAME: &str = "etm.dev/controller";

/// The status with etm's entries for the parents that are Services, one each, in their places, and
/// those of others as they are; none where that is so already.
pub(crate) fn parents(
    observed: &ObservedRoute,
    route: &GatewayRoute,
    conditions: &[RouteCondition],
    now: Timestamp,
) -> Option<Value> {
    if conditions.len() != route.routes.len() {
        // They are not known yet.
        return None;
    }
    let before = observed.status["parents"].as_array().cloned().unwrap_or_default();
    let mut left: Vec<&Parent> = route.parents.iter().collect();
    let mut parents: Vec<Value> = Vec::with_capacity(before.len() + left.len());
    for entry in &before {
        if entry["controllerName"] != CONTROLLER_NAME {
            parents.push(entry.clone());
            continue;
        }
        let Some(place) = left.iter().position(|one| one.reference == entry["parentRef"]) else {
            continue;
        };
        let parent = left.remove(place);
        let told = told(observed, parent, conditions, &read(&entry["conditions"]), now)?;
        parents.push(self::entry(parent, &told));
    }
    for parent in left {
        let told = told(observed, parent, conditions, &[], now)?;
        parents.push(entry(parent, &told));
    }
    (parents != before).then(|| json!({"parents": parents}))
}

fn entry(parent: &Parent, conditions: &[Condition]) -> Value {
    json!({
        "parentRef": parent.reference,
        "controllerName": CONTROLLER_NAME,
        "conditions": conditions,
    })
}

/// The conditions for one parent.
fn told(
    observed: &ObservedRoute,
    parent: &Parent,
    conditions: &[RouteCondition],
    before: &[Condition],
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let generation = observed.generation;
    Some(match &parent.route {
        Ok(place) => both(before, generation, conditions.get(*place)?, now).into(),
        Err(NotAccepted { field, reason, message }) => {
            let message = format!("{field} {message}");
            vec![condition(before, generation, ACCEPTED, ("False", reason, &message), now)]
        }
    })
}
