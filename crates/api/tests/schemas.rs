//! What `deploy/` holds is what the code says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::PathBuf};

use serde_json::{Value, to_value};

/// The definition that a file of `deploy/` holds.
fn shipped(folder: &str) -> Value {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let text = fs::read_to_string(deploy.join(folder).join("crds/trafficpolicies.etm.dev.yaml"));
    serde_saphyr::from_str(&text.unwrap()).unwrap()
}

#[test]
fn the_shipped_definition_is_that_of_the_code() {
    let code = to_value(etm_api::definition()).unwrap();
    for folder in ["kustomize", "helm/etm"] {
        assert_eq!(shipped(folder), code, "`cargo xtask schemas` writes deploy/{folder} anew");
    }
}
