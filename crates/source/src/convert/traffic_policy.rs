//! `TrafficPolicy`, checked as its schema checks it: a directory has no API server before it, and a
//! cluster may have an older or a newer schema than this program.

use std::{collections::BTreeSet, sync::Arc};

use etm_api as api;
use etm_model::{Algorithm, HashField, HashFields, LoadBalancing, Policy, Weight};

use super::{
    Converted, ejected, fields,
    metadata::Identity,
    monitor::Check,
    policy_health::{health, refusal, stale},
    report::Report,
};

const KEEP_OUT: &str = "until then the policy counts as it was before, and a new one not at all";
/// Services in `weights.services`, at most.
const SERVICES: usize = 16;

/// Converts a `TrafficPolicy`; one with anything wrong in its spec counts as it was before, so that
/// nothing is half applied.
#[must_use]
pub fn traffic_policy(object: &api::UncheckedTrafficPolicy) -> Converted<Policy> {
    let identity = match Identity::namespaced("TrafficPolicy", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let (created, name) = (identity.created, identity.name.clone());
    let mut report = Report::on(format!("TrafficPolicy {}", identity.name));
    let spec = fields::spec(&object.spec, &mut report, hint);
    let policy = spec.and_then(|spec| convert(&spec, identity, &mut report));
    let policy = policy.map(|policy| Policy { ejected: ejected::pods(&object.status), ..policy });
    let problems = report.finish();
    let object = policy.filter(|_| problems.is_empty());
    let stays = object.is_none().then_some(name);
    Converted { object, created, proxy: None, problems, stays }
}

fn convert(
    spec: &api::TrafficPolicySpec,
    Identity { name, created }: Identity,
    report: &mut Report,
) -> Option<Policy> {
    let service = named(&spec.target_ref.name, "spec.targetRef.name", "a Service", report)?;
    let port = match spec.target_ref.port.as_deref() {
        None => None,
        Some(port) => Some(named(port, "spec.targetRef.port", "a port", report)?),
    };
    let given = &spec.load_balancing;
    let weights = given.weights.as_ref();
    let load_balancing = LoadBalancing {
        algorithm: algorithm(given, report),
        service_weights: weights.map(|weights| services(weights, report)).unwrap_or_default(),
        pod_weights: weights.is_some_and(|weights| weights.pod_annotation),
    };
    let health = spec.health.as_ref().map(|given| Arc::new(health(given, report)));
    let (refusal, stale) = (refusal(spec.refusal), stale(spec.stale_connections));
    let monitors = Check { report, hint }.monitors(&spec.monitors);
    let ejected = Arc::default();
    Some(Policy {
        name,
        created,
        service,
        port,
        load_balancing,
        health,
        refusal,
        stale,
        monitors,
        ejected,
    })
}

fn named(name: &str, field: &str, what: &str, report: &mut Report) -> Option<Arc<str>> {
    if name.is_empty() {
        report.add(field, "is empty", hint(&format!("name {what}, or take the field away")));
        return None;
    }
    Some(name.into())
}

fn algorithm(given: &api::LoadBalancing, report: &mut Report) -> Algorithm {
    const FIELD: &str = "spec.loadBalancing.consistentHash";
    let hash = given.consistent_hash.as_ref();
    if hash.is_some() && given.algorithm != api::Algorithm::ConsistentHash {
        let reason = "needs algorithm: ConsistentHash";
        report.add(FIELD, reason, hint("set that, or take consistentHash away"));
    }
    match given.algorithm {
        api::Algorithm::Random => Algorithm::Random,
        api::Algorithm::LeastConnections => Algorithm::LeastConnections,
        api::Algorithm::ConsistentHash => {
            let listed =
                hash.map_or_else(|| api::ConsistentHash::default().fields, |h| h.fields.clone());
            let mut seen = BTreeSet::new();
            for (i, field) in listed.iter().enumerate() {
                if !seen.insert(*field) {
                    report.add(
                        format!("{FIELD}.fields[{i}]"),
                        "is listed before",
                        hint("name each field once"),
                    );
                }
            }
            let fields = HashFields::new(listed.into_iter().map(hash_field));
            if fields.is_none() {
                let hint = hint("name at least one, or take fields away, which is [callerPod]");
                report.add(format!("{FIELD}.fields"), "is empty", hint);
            }
            Algorithm::ConsistentHash(fields.unwrap_or_default())
        }
    }
}

fn hash_field(field: api::Field) -> HashField {
    match field {
        api::Field::CallerPod => HashField::CallerPod,
        api::Field::CallerAddress => HashField::CallerAddress,
        api::Field::CallerNamespace => HashField::CallerNamespace,
        api::Field::CallerPort => HashField::CallerPort,
        api::Field::ServicePort => HashField::ServicePort,
        api::Field::Protocol => HashField::Protocol,
    }
}

fn services(weights: &api::Weights, report: &mut Report) -> Vec<(Arc<str>, Weight)> {
    const FIELD: &str = "spec.loadBalancing.weights.services";
    if weights.services.len() > SERVICES {
        let reason = format!("has {} Services, more than {SERVICES}", weights.services.len());
        report.add(FIELD, reason, hint("weigh the others by the annotation of their Pods"));
        return Vec::new();
    }
    let mut services: Vec<(Arc<str>, Weight)> = Vec::with_capacity(weights.services.len());
    for (i, given) in weights.services.iter().enumerate() {
        let field = format!("{FIELD}[{i}].name");
        let Some(name) = named(&given.name, &field, "a Service", report) else { continue };
        if services.iter().any(|(other, _)| *other == name) {
            let hint = hint("give each Service one weight");
            report.add(field, format!("`{name}` is listed before"), hint);
            continue;
        }
        match u16::try_from(given.weight).ok().and_then(Weight::new) {
            Some(weight) => services.push((name, weight)),
            None => report.add(
                format!("{FIELD}[{i}].weight"),
                format!("{} is not within 1 and {}", given.weight, Weight::MAX),
                hint("correct it; to take a Pod out of service, make it not ready"),
            ),
        }
    }
    services
}

/// A way out of what is wrong with a policy.
pub(super) fn hint(hint: &str) -> String {
    format!("{hint}; {KEEP_OUT}")
}
