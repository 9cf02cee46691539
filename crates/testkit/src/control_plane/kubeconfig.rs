//! Kubeconfigs: where the API server is, and who calls it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::credentials::Identity;

/// One for a user with a client certificate.
pub(super) fn of_user(server: SocketAddr, authority: &Path, user: &Identity) -> String {
    let user = json!({"client-certificate": user.certificate, "client-key": user.key});
    document(server, authority, &user)
}

/// One for the bearer of a token.
pub(super) fn of_bearer(server: SocketAddr, authority: &Path, token: &str) -> String {
    document(server, authority, &json!({"token": token}))
}

/// JSON is YAML, and files are named by their absolute paths.
fn document(server: SocketAddr, authority: &Path, user: &Value) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "testkit",
            "cluster": {
                "server": format!("https://{server}"),
                "certificate-authority": authority,
            },
        }],
        "users": [{"name": "testkit", "user": user}],
        "contexts": [{"name": "testkit", "context": {"cluster": "testkit", "user": "testkit"}}],
        "current-context": "testkit",
    });
    format!("{config:#}\n")
}
