//! What is read of these kinds, and the rest of it as it is.

use serde::Deserialize;
use serde_json::{Map, Value};

/// `spec` of a route. `hostnames` are not read: of a route whose parent is a Service nothing is to be
/// inferred from them (GEP-1294).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    /// As they were written, since the status repeats them.
    #[serde(default)]
    pub(super) parent_refs: Vec<Value>,
    #[serde(default)]
    pub(super) rules: Vec<RuleSpec>,
}

/// One of `spec.parentRefs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParentRef {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) section_name: Option<String>,
    pub(super) port: Option<i64>,
}

/// One of `spec.rules`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleSpec {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) matches: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) backend_refs: Vec<BackendRef>,
    /// Whatever else it asks for.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// One of `spec.rules[].backendRefs`.
#[derive(Debug, Deserialize)]
pub(super) struct BackendRef {
    pub(super) group: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) weight: Option<i64>,
    /// Whatever else it asks for.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}
