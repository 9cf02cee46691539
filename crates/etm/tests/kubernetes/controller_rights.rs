//! The controller with exactly the rights and the variables that are shipped.

use etm_testkit::{Agent, AgentBuilder};
use serde_json::{Value, json};

use crate::conditions::until_condition;
use crate::gateway;
use crate::node_health::Monitor;
use crate::policies::policy;
use crate::releases::release;
use crate::routes;
use crate::scene::{Scene, addresses, free};
use crate::shipped::{self, CONTROLLER, NAMESPACE};
use crate::{events, metrics};
use etm_testkit::wait::until;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Kinds of the Gateway API whose status is written.
const KINDS: [(&str, &str); 4] = [
    ("TCPRoute", "tcproutes"),
    ("UDPRoute", "udproutes"),
    ("GRPCRoute", "grpcroutes"),
    ("HTTPRoute", "httproutes"),
];

/// The program with the arguments and variables of the shipped Deployment, which asks for nothing of
/// its host.
fn shipped_container(scene: &Scene) -> AgentBuilder {
    let objects = shipped::objects(scene.cluster);
    let deployment = shipped::object(&objects, "Deployment", CONTROLLER);
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    for field in ["hostNetwork", "hostPID", "volumes"] {
        assert!(spec[field].is_null(), "{field}");
    }
    let container = &spec["containers"][0];
    let context = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], context);
    assert_eq!(container["args"], json!(["controller"]));
    let port = &container["ports"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], port["name"], "{probe}");
    }
    let variables = container["env"].as_array().expect("variables").iter();
    variables.fold(Agent::of(env!("CARGO_BIN_EXE_etm")).verb("controller"), |agent, variable| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (name, value) = (text(&variable["name"]), text(&variable["value"]));
        // Here the host's address is that of all tests.
        let own = value == format!("0.0.0.0:{}", port["containerPort"]);
        let value = if own { scene.admin.to_string() } else { value };
        agent.env(name, value)
    })
}

#[test]
fn they_suffice() {
    let scene = Scene::controlled();
    shipped::apply(scene.cluster);
    let kubeconfig = scene.cluster.service_account(NAMESPACE, CONTROLLER).expect("a token");
    let controller = shipped_container(&scene)
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .arg("--namespace")
        .arg(NAMESPACE)
        .start()
        .expect("a controller");
    // Where its probes ask.
    for path in ["/livez", "/readyz"] {
        assert_eq!(metrics::status(&scene, path), 200, "{path}");
    }
    scene.create("trafficpolicies", policy("one", "web", &json!({})));
    until_condition(&scene, "one", "TargetNotFound");
    scene.service("web");
    until_condition(&scene, "one", "Accepted");
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0], "{}", controller.stderr());
}

/// A rule for each verb on each resource.
fn each(role: &Value) -> Vec<Value> {
    let texts = |values: &Value| values.as_array().expect("a list").clone();
    let rules = texts(&role["rules"]).into_iter();
    let single = rules.flat_map(|rule| {
        let resources = texts(&rule["resources"]);
        let pairs = resources.into_iter().flat_map(|resource| {
            texts(&rule["verbs"]).into_iter().map(move |verb| (resource.clone(), verb))
        });
        let pairs: Vec<_> = pairs.collect();
        pairs.into_iter().map(move |(resource, verb)| {
            let mut single = rule.clone();
            single["resources"] = json!([resource]);
            single["verbs"] = json!([verb]);
            single
        })
    });
    single.collect()
}

/// What is told of first where a right is missing.
fn told(rule: &Value) -> String {
    let resource = rule["resources"][0].as_str().expect("a resource");
    match resource {
        "leases" if rule["verbs"][0] == "list" || rule["verbs"][0] == "watch" => {
            "watch of leases".to_owned()
        }
        "leases" => "Lease ".to_owned(),
        "releases/status" => "Release ".to_owned(),
        "endpointslices" if rule["verbs"][0] == "watch" => "watch of endpointslices".to_owned(),
        "trafficpolicies/status" => "TrafficPolicy ".to_owned(),
        "trafficroutes/status" => "TrafficRoute ".to_owned(),
        "tcproutes/status" => "TCPRoute ".to_owned(),
        "udproutes/status" => "UDPRoute ".to_owned(),
        "grpcroutes/status" => "GRPCRoute ".to_owned(),
        "httproutes/status" => "HTTPRoute ".to_owned(),
        "pods" => "watch of podmetadata".to_owned(),
        "nodemonitors/status" => "NodeMonitor ".to_owned(),
        "nodehealths/status" => "NodeHealth ".to_owned(),
        "nodehealths" if rule["verbs"][0] == "create" => "NodeHealth ".to_owned(),
        "events" if rule["verbs"][0] == "list" => "Events".to_owned(),
        "events" => "Event on ".to_owned(),
        watched => format!("watch of {watched}"),
    }
}

/// A controller without one of the shipped rights says what suffers.
fn misses(scene: &Scene, missing: &Value, cluster: &[Value], own: &[Value]) {
    let name = format!("without-{}-{}", missing["verbs"][0], missing["resources"][0]);
    let name = name.replace('"', "").replace('/', "-");
    let namespace = &scene.namespace;
    let apply = |object| scene.cluster.api().apply(namespace, &[object]).expect("an object");
    apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}));
    for (kind, binding, rules) in
        [("ClusterRole", "ClusterRoleBinding", cluster), ("Role", "RoleBinding", own)]
    {
        let version = format!("{GROUP}/v1");
        apply(json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": name}, "rules": rules,
        }));
        apply(json!({
            "apiVersion": version,
            "kind": binding,
            "metadata": {"name": name},
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }));
    }
    let user = format!("--as=system:serviceaccount:{namespace}:{name}");
    // The API server takes a role's rules in all at once.
    for rule in cluster.last().into_iter().chain(own.last()) {
        let [verb, group, resource] = [&rule["verbs"], &rule["apiGroups"], &rule["resources"]]
            .map(|texts| texts[0].as_str().expect("a text"));
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        let named = if rule["resourceNames"].is_null() { "" } else { "/etm-controller" };
        let of = if group.is_empty() { resource.into() } else { format!("{resource}.{group}") };
        let of = format!("{of}{named}");
        let part = format!("--subresource={part}");
        let can = ["auth", "can-i", verb, &of, &part, &user, "--namespace", namespace];
        until(&of, || scene.cluster.kubectl(&can).is_ok());
    }
    let kubeconfig = scene.cluster.service_account(namespace, &name).expect("a token");
    // Else it were told as well that alerts are not heard.
    let alerts = free().to_string();
    let controller = scene.controller_with(&kubeconfig, namespace, scene.admin);
    let controller = controller.arg("--alerts").arg(alerts);
    // Without one of the lists it is never ready.
    let _controller = controller.launch().expect("a controller");
    let told = told(missing);
    until(&format!("{name} is missed"), || {
        let page = metrics::try_page(scene.admin, "/problems").unwrap_or_default();
        page.contains(&told) && page.contains("403")
    });
    let page = metrics::page(scene, "/problems");
    let problems: Value = serde_json::from_str(&page).expect("JSON");
    let problems = problems.as_array().expect("a list").iter();
    let objects: Vec<&str> = problems.filter_map(|problem| problem["object"].as_str()).collect();
    // Slices are listed for monitors of policies, and for the watch of them while there are routes.
    let also = match missing["resources"][0].as_str() {
        Some("endpointslices") => ["watch of endpointslices", "TrafficPolicy "],
        _ => [&*told; 2],
    };
    let expected = |object: &&str| {
        object.starts_with(&told) || also.iter().any(|also| object.starts_with(also))
    };
    assert!(objects.iter().all(expected), "{name}: {objects:?}");
}

#[test]
fn none_of_them_is_too_many() {
    let scene = Scene::controlled();
    let objects = shipped::objects(scene.cluster);
    let cluster = each(shipped::object(&objects, "ClusterRole", CONTROLLER));
    let own = each(shipped::object(&objects, "Role", CONTROLLER));
    assert_eq!((cluster.len(), own.len()), (44, 3));
    scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    for missing in cluster.iter().chain(&own) {
        // One that there is something to write for, and a Lease that is not there.
        let lease = scene.path("leases", "etm-controller");
        if scene.cluster.api().get(&lease).expect("an answer").is_some() {
            scene.delete("leases", "etm-controller");
        }
        let verb = missing["verbs"][0].as_str().expect("a verb");
        let resource = missing["resources"][0].as_str().expect("a resource").replace('/', "-");
        let name = format!("{verb}-{resource}");
        let mut policy = policy(&name, "x", &json!({}));
        let matchers = json!([{"name": "alertname", "value": "x"}]);
        policy["spec"]["monitors"] =
            json!([{"name": "alerts", "alertmanager": {"matchers": matchers}}]);
        scene.create("trafficpolicies", policy);
        // One whose versions are told by labels.
        let mut release = release(&name, &json!({"blueGreen": {}}));
        let labels = |version: &str| json!({"labels": {"version": version}});
        release["spec"]["services"] =
            json!([{"service": "x", "stable": labels("1"), "new": labels("2")}]);
        if !matches!(&*resource, "endpointslices" | "pods") {
            // For which two would tell.
            scene.create("releases", release);
        }
        let subset = json!({"subset": {"matchLabels": {"version": "2"}}});
        scene.create("trafficroutes", routes::route(&name, "x", &json!([{"to": [subset]}])));
        for (kind, plural) in KINDS {
            let parents = [gateway::service("x")];
            scene.create(plural, gateway::route(kind, &name, &parents, &gateway::to(&[("y", 1)])));
        }
        let api = scene.cluster.api();
        let _ = api.delete("/apis/etm.dev/v1alpha1/nodehealths/cluster");
        let monitor = json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "NodeMonitor",
            "metadata": {"name": name},
            "spec": {"alertmanager": {"matchers": matchers}},
        });
        let _monitor = Monitor::create(api, &monitor);
        let left = |rules: &[Value]| -> Vec<Value> {
            rules.iter().filter(|rule| *rule != missing).cloned().collect()
        };
        if name == "create-events" {
            let out = events::ejected(&scene, None, &addresses(1)[0].to_string());
            events::report(&scene, "node", &[out]);
        }
        misses(&scene, missing, &left(&cluster), &left(&own));
        let _ = api.delete(&format!("{}/node", events::REPORTS));
        // Others hear no alerts, and would tell of these.
        for (_, plural) in KINDS.into_iter().chain([("", "trafficroutes")]) {
            scene.delete(plural, &name);
        }
        scene.delete("trafficpolicies", &name);
        if !matches!(&*resource, "endpointslices" | "pods") {
            scene.delete("releases", &name);
        }
    }
}
