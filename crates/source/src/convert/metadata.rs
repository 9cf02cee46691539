use std::{collections::BTreeMap, sync::Arc};

use etm_model::{ObjectName, Problem, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::report::Report;

/// Label of a Service (and its slices) that another proxy handles.
pub(crate) const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// Label of a Service (and its slices) that no proxy handles.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// Which object it is, and since when.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: ObjectName,
    pub(crate) created: Option<Timestamp>,
}

impl Identity {
    /// The identity of a namespaced object; no namespace means `default`, as for kubectl.
    pub(crate) fn namespaced(kind: &str, metadata: &ObjectMeta) -> Result<Self, Vec<Problem>> {
        let namespace = match metadata.namespace.as_deref() {
            None | Some("") => "default",
            Some(namespace) => namespace,
        };
        Self::new(kind, namespace, metadata)
    }

    /// The identity of an object outside of namespaces.
    pub(crate) fn cluster_wide(kind: &str, metadata: &ObjectMeta) -> Result<Self, Vec<Problem>> {
        Self::new(kind, "", metadata)
    }

    fn new(kind: &str, namespace: &str, metadata: &ObjectMeta) -> Result<Self, Vec<Problem>> {
        match metadata.name.as_deref() {
            None | Some("") => {
                let mut report = Report::on(kind.to_owned());
                let hint = "give it a name; the object is left out until then";
                report.add("metadata.name", "is missing", hint);
                Err(report.finish())
            }
            Some(name) => Ok(Self {
                name: ObjectName::new(namespace, name),
                created: metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
            }),
        }
    }
}

/// The value of a label.
pub(crate) fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// Labels or a selector in their compact form, ordered by key.
pub(crate) fn pairs(labels: Option<&BTreeMap<String, String>>) -> Vec<(Arc<str>, Arc<str>)> {
    let labels = labels.into_iter().flatten();
    labels.map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}
