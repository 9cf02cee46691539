//! The directories under `examples/` are right, and show what their text says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

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
