//! What `deploy/` holds is what the code says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::PathBuf};

use serde_json::{Value, to_value};

/// The definition that a file of `deploy/` holds.
fn shipped(folder: &str, name: &str) -> Value {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let text = fs::read_to_string(deploy.join(folder).join(format!("crds/{name}.yaml")));
    serde_saphyr::from_str(&text.unwrap()).unwrap()
}

#[test]
fn the_shipped_definitions_are_those_of_the_code() {
    for definition in etm_api::definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let code = to_value(definition).unwrap();
        for folder in ["kustomize", "helm/etm"] {
            let told = "`cargo xtask schemas` writes it anew";
            assert_eq!(shipped(folder, &name), code, "deploy/{folder}/crds/{name}.yaml: {told}");
        }
    }
}
