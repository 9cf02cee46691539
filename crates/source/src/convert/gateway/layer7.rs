//! What of a rule would take a look into the connection's data.

use serde_json::{Map, Value};

use super::spec::{RuleSpec, Spec};

/// The first thing that a route asks for which a decision at `connect()` cannot give: its field, and
/// what is said of it.
pub(super) fn asked(spec: &Spec) -> Option<(String, String)> {
    let rules = spec.rules.iter().enumerate();
    rules.filter_map(|(i, rule)| of_rule(rule, &format!("spec.rules[{i}]"))).next()
}

fn of_rule(rule: &RuleSpec, field: &str) -> Option<(String, String)> {
    let mut matches = rule.matches.iter().flatten().enumerate();
    if let Some((i, _)) = matches.find(|(_, given)| !takes_all(given)) {
        let message = "asks which requests match, which only layer 7 tells; etm decides at \
                       connect(), before there is a request: leave only matches of everything \
                       (PathPrefix /)";
        return Some((format!("{field}.matches[{i}]"), message.to_owned()));
    }
    if let Some(name) = first(&rule.rest) {
        return Some((format!("{field}.{name}"), needs(name)));
    }
    let mut backends = rule.backend_refs.iter().enumerate();
    backends.find_map(|(i, backend)| {
        let name = first(&backend.rest)?;
        Some((format!("{field}.backendRefs[{i}].{name}"), needs(name)))
    })
}

fn needs(name: &str) -> String {
    format!(
        "asks for {name}, which takes layer 7; etm decides at connect(), and touches nothing of \
         what is sent afterwards: take it away, or serve this route by a proxy"
    )
}

/// The first field that says something.
fn first(fields: &Map<String, Value>) -> Option<&str> {
    fields.iter().find(|(_, value)| !is_empty(value)).map(|(name, _)| name.as_str())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Whether every request matches: by nothing at all, or by the default of `HTTPRoute`, which the API
/// server fills in: each path.
fn takes_all(given: &Value) -> bool {
    let Some(fields) = given.as_object() else { return false };
    let mut said = fields.iter().filter(|(_, value)| !is_empty(value));
    said.all(|(name, value)| {
        let of = |name: &str| value.get(name).and_then(Value::as_str);
        name == "path"
            && of("type").is_none_or(|kind| kind == "PathPrefix")
            && of("value").is_none_or(|prefix| prefix == "/")
    })
}
