//! The files under `examples/` that the tutorials apply: a real API server takes them, and a release of
//! them does what the tutorial shows.

use std::path::PathBuf;

use etm_testkit::wait::until;
use serde_json::json;

use crate::scene::{Scene, addresses, free};

const TUTORIALS: [&str; 2] = ["canary", "blue-green"];

fn folder(tutorial: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(tutorial)
}

/// What kubectl is told of objects, where they are refused.
fn refusal(scene: &Scene, objects: &str) -> Option<String> {
    let words = ["apply", "--server-side", "--dry-run=server", "-n", &scene.namespace, "-f", "-"];
    scene.cluster.kubectl_with(&words, objects).err().map(|error| error.to_string())
}

/// Pods need it, and no controller of Kubernetes runs that makes it.
fn account(scene: &Scene) {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
}

fn apply(scene: &Scene, tutorial: &str, file: &str) {
    let path = folder(tutorial).join(file);
    let path = path.to_str().expect("a path");
    let words = ["apply", "-n", &scene.namespace, "-f", path];
    scene.cluster.kubectl(&words).expect("objects");
}

/// Gives a Service its endpoint, as the controllers of Kubernetes would.
fn deploy(scene: &Scene, service: &str) {
    scene.slice(&format!("{service}-1"), service, &addresses(1));
}

/// Waits until `kubectl get releases` says this of the only one, as the tutorials print it.
#[track_caller]
fn until_shown(scene: &Scene, phase: &str, message: &str) {
    until(&format!("{phase}: {message}"), || {
        let words = ["get", "releases", "-n", &scene.namespace, "--no-headers"];
        let table = scene.cluster.kubectl(&words).expect("a table");
        table.split_whitespace().nth(1) == Some(phase) && table.contains(message)
    });
}

#[test]
fn the_api_server_takes_each_file() {
    let scene = Scene::policies();
    account(&scene);
    for tutorial in TUTORIALS {
        let mut files = 0;
        for file in folder(tutorial).read_dir().expect("a folder") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a text");
            assert_eq!(refusal(&scene, &text), None, "{}", path.display());
            // It would tell of any field that it does not know.
            let odd = text.replacen("metadata:", "oddity: true\nmetadata:", 1);
            let told = refusal(&scene, &odd).unwrap_or_else(|| panic!("{odd} is taken"));
            assert!(told.contains("oddity"), "{told}");
            files += 1;
        }
        assert!(files > 0, "{tutorial}");
    }
}

#[test]
fn the_canary_begins_as_its_tutorial_shows() {
    let scene = Scene::controlled();
    account(&scene);
    let _controller = scene.controller(free()).start().expect("a controller");
    for file in ["cart.yaml", "v1.yaml", "callers.yaml", "v2.yaml"] {
        apply(&scene, "canary", file);
    }
    deploy(&scene, "cart-v1");
    deploy(&scene, "cart-v2");
    apply(&scene, "canary", "release.yaml");
    until_shown(&scene, "Progressing", "10% of callers reach the new version, for 30s");
    // As a change of the Deployment that is there it has to be taken too.
    apply(&scene, "canary", "bad.yaml");
    // Else the controllers of other tests would write to it.
    scene.delete("releases", "cart-2");
}

#[test]
fn the_blue_green_release_waits_and_begins_as_its_tutorial_shows() {
    let scene = Scene::controlled();
    account(&scene);
    let _controller = scene.controller(free()).start().expect("a controller");
    apply(&scene, "blue-green", "blue.yaml");
    deploy(&scene, "front-blue");
    deploy(&scene, "stock-blue");
    apply(&scene, "blue-green", "release.yaml");
    let waits = "waits for the new version: Service front-green has no ready endpoint";
    until_shown(&scene, "Pending", waits);
    apply(&scene, "blue-green", "green.yaml");
    deploy(&scene, "front-green");
    deploy(&scene, "stock-green");
    until_shown(&scene, "Paused", "chosen callers reach the new version, until it is promoted");
    scene.delete("releases", "green");
}
