//! A cluster that gets the Gateway API while etm runs, in one version after another.

use serde_json::json;

use crate::gateway::{condition, route, service, to, until_condition};
use crate::metrics;
use crate::scene::{Scene, free};
use crate::shipped;
use etm_testkit::wait::until;

const GROUP: &str = "gateway.networking.k8s.io";

/// Has the definition of TCPRoute serve only this version.
fn serve(scene: &Scene, served: &str) {
    let file = shipped::gateway_kinds().join(format!("{GROUP}_tcproutes.yaml"));
    let text = std::fs::read_to_string(file).expect("a definition");
    let mut definition = shipped::documents(&text).remove(0);
    for version in definition["spec"]["versions"].as_array_mut().expect("versions") {
        let serves = version["name"] == served;
        version["served"] = json!(serves);
    }
    let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    scene.cluster.kubectl_with(&words, &definition.to_string()).expect("a kind");
    let path = format!("/apis/{GROUP}/{served}/tcproutes");
    until("it is served", || scene.cluster.api().get(&path).is_ok_and(|list| list.is_some()));
}

#[test]
fn the_kinds_may_come_later_and_in_whatever_version() {
    let scene = Scene::later();
    scene.service("web");
    scene.service("v1");
    let agent = scene.agent().start().expect("an agent");
    let admin = free();
    let controller = scene.controller(admin).start().expect("a controller");
    let problems = || -> [String; 2] {
        [
            metrics::page(&scene, "/problems"),
            metrics::try_page(admin, "/problems").unwrap_or_default(),
        ]
    };
    assert_eq!(problems(), ["[]", "[]"]);

    let path =
        |version: &str| format!("/apis/{GROUP}/{version}/namespaces/{}/tcproutes", scene.namespace);
    serve(&scene, "v1alpha2");
    let mut split = route("TCPRoute", "split", &[service("web")], &to(&[("v1", 1)]));
    split["apiVersion"] = json!(format!("{GROUP}/v1alpha2"));
    split["metadata"]["namespace"] = json!(scene.namespace);
    scene.cluster.api().create(&path("v1alpha2"), &split).expect("a route");
    let of = |version: &str| format!("{}/split", path(version));
    until_condition(&scene, &of("v1alpha2"), "Accepted", "Accepted");
    let heard = || {
        metrics::value(&scene, r#"etm_watch_received_bytes_total{watch="tcproutes"}"#) > Some(0.0)
    };
    until("the agent hears of it", heard);

    // The version that is watched goes, another comes.
    serve(&scene, "v1");
    let more = json!({"spec": {"rules": [{"backendRefs": [{"name": "v2", "port": 80}]}]}});
    scene.cluster.api().merge(&of("v1"), &more).expect("another spec");
    until("it is followed on", || {
        let condition = condition(&scene, &of("v1"), "web", "ResolvedRefs");
        condition.is_some_and(|condition| condition["reason"] == "BackendNotFound")
    });

    let definition =
        format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tcproutes.{GROUP}");
    scene.cluster.api().delete(&definition).expect("no kind");
    let routes = || metrics::value_at(admin, r#"etm_routes{accepted="true"}"#);
    until("the route is forgotten", || routes() == Some(0.0));
    assert_eq!(problems(), ["[]", "[]"]);
    for log in [agent.stderr(), controller.stderr()] {
        let told = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
        let of_gateway: Vec<_> =
            told.filter(|line| ["tcproutes", GROUP].iter().any(|of| line.contains(of))).collect();
        assert_eq!(of_gateway, [""; 0], "{log}");
    }
}
