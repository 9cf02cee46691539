//! The manifests on disk, changed while the agent follows them.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::Path};

use anyhow::{Context as _, bail};
use etm_testkit::Manifests;
use serde_json::Value;

/// A scratch copy of a directory of manifests.
pub(crate) struct Files {
    scratch: Manifests,
    documents: BTreeMap<String, Vec<Value>>,
}

impl Files {
    /// Copies every manifest as it is.
    pub(crate) fn copy(from: &Path) -> anyhow::Result<Self> {
        let scratch = Manifests::new()?;
        let mut documents = BTreeMap::new();
        let listed = fs::read_dir(from).with_context(|| format!("list {}", from.display()))?;
        for entry in listed {
            let path = entry?.path();
            if path.extension() != Some(OsStr::new("yaml")) {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let parsed = serde_saphyr::from_multiple(&text)
                .with_context(|| format!("parse {}", path.display()))?;
            scratch.write(&name, &text)?;
            documents.insert(name, parsed);
        }
        Ok(Self { scratch, documents })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Adds a file.
    pub(crate) fn add(&self, name: &str, documents: &[Value]) -> anyhow::Result<()> {
        Ok(self.scratch.apply(name, documents)?)
    }

    /// Removes a file that was added.
    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.scratch.remove(name)?)
    }

    /// Says of Pods whether they are ready, in their own manifests and in every EndpointSlice, and
    /// saves what changed.
    pub(crate) fn set_ready(&mut self, pods: &[&str], ready: bool) -> anyhow::Result<()> {
        let mut found = false;
        for (file, documents) in &mut self.documents {
            let before = documents.clone();
            for document in documents.iter_mut() {
                for pod in pods {
                    found |= set_ready(document, pod, ready);
                }
            }
            if *documents != before {
                self.scratch.apply(file, documents)?;
            }
        }
        if !found {
            bail!("no manifest names any of the Pods {}", pods.join(", "));
        }
        Ok(())
    }
}

/// Whether the document says anything of the Pod's readiness.
fn set_ready(document: &mut Value, pod: &str, ready: bool) -> bool {
    let mut found = false;
    match document["kind"].as_str() {
        Some("Pod") if document["metadata"]["name"] == pod => {
            let conditions = document["status"]["conditions"].as_array_mut();
            for condition in conditions.into_iter().flatten() {
                if condition["type"] == "Ready" {
                    condition["status"] = if ready { "True" } else { "False" }.into();
                    found = true;
                }
            }
        }
        Some("EndpointSlice") => {
            for endpoint in document["endpoints"].as_array_mut().into_iter().flatten() {
                if endpoint["targetRef"]["name"] == pod {
                    endpoint["conditions"]["ready"] = ready.into();
                    found = true;
                }
            }
        }
        _ => {}
    }
    found
}
