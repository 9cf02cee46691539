//! The directories under `examples/` are right, and show what their text says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use etm_model::Snapshot;
use etm_source::{Manifests, Options};

fn open(name: &str) -> Snapshot {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let (_, snapshot, problems) = Manifests::open(&directory, Options::default()).unwrap();
    assert_eq!(problems, []);
    snapshot
}

#[tokio::test]
async fn routes() {
    let snapshot = open("routes");
    let told = etm_model::route_conditions(&snapshot);
    let conditions: Vec<_> = told.values().flatten().collect();
    assert_eq!(conditions.len(), 1);
    assert!(conditions[0].accepted.status(), "{conditions:?}");
    assert!(conditions[0].resolved_refs.status(), "{conditions:?}");
    assert_eq!(snapshot.pod_labels.len(), 2, "a subset asks for labels");
}

#[tokio::test]
async fn shop() {
    let snapshot = open("shop");
    let ready = |service: &str| {
        let named = snapshot.slices.iter().filter(|(name, _)| &*name.name == service);
        let endpoints = named.flat_map(|(_, slices)| slices.values()).flat_map(|s| &s.endpoints);
        endpoints.filter(|endpoint| endpoint.ready).count()
    };
    let services: Vec<_> =
        snapshot.services.keys().map(|name| (&*name.name, ready(&name.name))).collect();
    assert_eq!(services, [("cart", 6), ("catalog", 2), ("dns", 2), ("payment", 0)]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The documents, by name.
fn documents() -> Vec<(String, String)> {
    let files = root().join("docs").read_dir().unwrap().map(|file| file.unwrap().path());
    let documents = files.filter(|path| path.extension().is_some_and(|end| end == "md"));
    documents
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// A file of `examples/` that a document shows: its path, and the block that follows `PATH` and a colon.
fn shown(document: &str) -> Vec<(&str, String)> {
    let mut shown = Vec::new();
    let mut before = "";
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if fence == "```yaml" {
            let indent = line.len() - fence.len();
            let block = lines.by_ref().take_while(|line| line.trim() != "```");
            let block = block.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n");
            let block: String = block.collect();
            let path = before.strip_suffix("`:").and_then(|text| text.rsplit('`').next());
            shown.extend(path.filter(|path| path.starts_with("examples/")).zip(Some(block)));
        } else if !fence.is_empty() {
            before = line;
        }
    }
    shown
}

#[test]
fn documents_show_the_files_as_they_are() {
    let mut found = Vec::new();
    for (name, document) in documents() {
        for (path, block) in shown(&document) {
            assert_eq!(fs::read_to_string(root().join(path)).unwrap(), block, "{name}: {path}");
            found.push(path.to_owned());
        }
    }
    found.sort();
    assert_eq!(found, ["examples/blue-green/release.yaml", "examples/canary/release.yaml"]);
}

#[test]
fn documents_name_files_that_there_are() {
    let mut named = 0;
    for (name, document) in documents() {
        let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/-._".contains(c);
        let words = document.split(|c| !is_of_path(c)).filter(|word| word.starts_with("examples/"));
        for path in words.filter(|word| word.ends_with(".yaml")) {
            assert!(root().join(path).is_file(), "{name}: {path}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named}");
}
