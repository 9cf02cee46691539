//! Tokens that end.

use std::fs;

use serde_json::{Value, json};

use crate::metrics;
use crate::scene::{Scene, addresses, slice};
use etm_testkit::wait::{until, until_logged};

/// A token of a ServiceAccount that may read what an agent reads, which ends with a Secret.
fn token(scene: &Scene, secret: &str) -> String {
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret}},
    });
    let path = format!("{}/token", scene.path("serviceaccounts", "agent"));
    let answer = scene.cluster.api().create(&path, &request).expect("a token");
    answer["status"]["token"].as_str().expect("a token").to_owned()
}

fn account(scene: &Scene) {
    let create = |path: &str, object: Value| {
        scene.cluster.api().create(path, &object).expect("an object");
    };
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent"},
    });
    create(&scene.path("serviceaccounts", ""), account);
    for name in ["one", "two"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        create(&scene.path("secrets", ""), secret);
    }
    let group = "rbac.authorization.k8s.io";
    let read = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    let name = &scene.namespace;
    let role = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            read("", &["services", "nodes", "pods"]),
            read("discovery.k8s.io", &["endpointslices"]),
        ],
    });
    create(&format!("/apis/{group}/v1/clusterroles"), role);
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": name}],
    });
    create(&format!("/apis/{group}/v1/clusterrolebindings"), binding);
}

#[test]
fn a_token_that_ends_is_replaced_by_the_one_in_its_file() {
    let scene = Scene::alone();
    account(&scene);
    let file = scene.state.path().join("token");
    fs::write(&file, token(&scene, "one")).expect("a token");
    let bearer = scene.cluster.bearer("x").expect("a kubeconfig");
    let text = fs::read_to_string(&bearer).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["users"][0]["user"] = json!({"tokenFile": file});
    let kubeconfig = scene.state.path().join("token.kubeconfig");
    fs::write(&kubeconfig, config.to_string()).expect("a kubeconfig");

    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    let agent = scene.agent_with(&kubeconfig).start().expect("an agent");
    scene.until_members(web, Some(1));
    // Who is connected stays so; a new connection is judged anew, by an API server that has
    // forgotten that the token was good.
    scene.delete("secrets", "one");
    scene.cluster.kill_api_server().expect("an end");
    scene.cluster.start_api_server().expect("a start");
    until_logged(&agent, &["WARN", "watch of endpointslices"]);
    let refused = r#"etm_watch_errors_total{watch="endpointslices",cause="401"}"#;
    until("it is refused", || metrics::value(&scene, refused) >= Some(1.0));
    scene.apply(slice("web-1", "web", &addresses(2)).into());
    assert_eq!(scene.members(web), Some(1));
    fs::write(&file, token(&scene, "two")).expect("a token");
    scene.until_members(web, Some(2));
    until_logged(&agent, &["mended", "watch of endpointslices"]);
}
