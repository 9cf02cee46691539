//! What `deploy/` holds, as kubectl renders it.

use std::path::{Path, PathBuf};

use etm_testkit::ControlPlane;
use serde_json::Value;
use tempfile::TempDir;

use etm_testkit::wait::until;

/// Where the shipped objects put agent and controller, and as whom.
pub(crate) const NAMESPACE: &str = "etm-system";
pub(crate) const ACCOUNT: &str = "etm-agent";
pub(crate) const CONTROLLER: &str = "etm-controller";

/// A folder of `deploy/`.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// What `cargo xtask test` puts beside the build.
pub(crate) fn beside_build(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this program's path");
    // target/PROFILE/deps/NAME
    let path = this.ancestors().nth(3).expect("a target folder").join(name);
    assert!(path.is_file(), "no {}: `cargo xtask test` makes it", path.display());
    path
}

/// The Gateway API's own definitions, as `cargo xtask gateway-api` fetches them.
pub(crate) fn gateway_kinds() -> PathBuf {
    let first = "gateway-api/gateway.networking.k8s.io_tcproutes.yaml";
    // kubectl does not look behind links.
    let file = beside_build(first).canonicalize().expect("a file");
    file.parent().expect("a folder").to_owned()
}

/// Makes the Gateway API's kinds known, and waits until they are served.
pub(crate) fn apply_gateway_kinds(cluster: &ControlPlane) {
    let folder = gateway_kinds();
    let folder = folder.to_str().expect("a path");
    cluster.kubectl(&["apply", "--server-side", "-f", folder]).expect("kinds");
    let waiting = ["wait", "--for=condition=Established", "--timeout=60s", "-f", folder];
    cluster.kubectl(&waiting).expect("kinds that are served");
}

/// The objects of `deploy/kustomize`.
pub(crate) fn objects(cluster: &ControlPlane) -> Vec<Value> {
    kustomized(cluster, &folder("kustomize"))
}

pub(crate) fn kustomized(cluster: &ControlPlane, folder: &Path) -> Vec<Value> {
    let text = cluster.kubectl(&["kustomize", folder.to_str().expect("a path")]);
    documents(&text.expect("YAML"))
}

/// A folder as a user has it who takes `deploy/kustomize` with the certificate for outcomes.
pub(crate) fn with_outcomes() -> TempDir {
    let overlay = tempfile::tempdir().expect("a folder");
    let here = overlay.path().canonicalize().expect("a path");
    let shipped = folder("kustomize").canonicalize().expect("a path");
    // Kustomize takes no absolute path.
    let up = "../".repeat(here.components().count() - 1);
    let shipped = format!("{up}{}", shipped.strip_prefix("/").expect("a path").display());
    let text = format!("resources: [{shipped}]\ncomponents: [{shipped}/outcomes]\n");
    std::fs::write(overlay.path().join("kustomization.yaml"), text).expect("a file");
    overlay
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("objects");
    documents.into_iter().map(plain).collect()
}

/// With whole numbers written as such: kustomize writes 1000 where others write 1000.0.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 => (float as i64).into(),
            _ => number.into(),
        },
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}

/// The one object of a kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    let found: Vec<&Value> = objects.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}

/// Applies them as a user would, and waits until the API server knows the rights.
pub(crate) fn apply(cluster: &ControlPlane) {
    let folder = folder("kustomize");
    let folder = folder.to_str().expect("a path");
    cluster.kubectl(&["apply", "--server-side", "-k", folder]).expect("objects");
    until_allowed(cluster, NAMESPACE, ACCOUNT, "list", "pods");
    until_allowed(cluster, NAMESPACE, CONTROLLER, "list", "trafficpolicies.etm.dev");
}

/// Makes etm's own kinds known, and waits until they are served.
pub(crate) fn apply_kinds(cluster: &ControlPlane) {
    let folder = folder("kustomize/crds");
    let folder = folder.to_str().expect("a path");
    cluster.kubectl(&["apply", "--server-side", "-f", folder]).expect("kinds");
    let waiting = ["wait", "--for=condition=Established", "--timeout=60s", "-f", folder];
    cluster.kubectl(&waiting).expect("kinds that are served");
    // For a while after that they are refused, since what is watched of them is not ready yet.
    for kind in ["trafficpolicies", "trafficroutes", "releases", "nodehealths"] {
        let path = format!("/apis/etm.dev/v1alpha1/{kind}?resourceVersion=0");
        until(&format!("{kind} are listed"), || cluster.api().get(&path).is_ok());
    }
}

/// Waits until the API server has heard of a right of an account.
pub(crate) fn until_allowed(
    cluster: &ControlPlane,
    namespace: &str,
    account: &str,
    verb: &str,
    resource: &str,
) {
    let user = format!("--as=system:serviceaccount:{namespace}:{account}");
    until(&format!("{account} may {verb} {resource}"), || {
        cluster.kubectl(&["auth", "can-i", verb, resource, "--all-namespaces", &user]).is_ok()
    });
}
