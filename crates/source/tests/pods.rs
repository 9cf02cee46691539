//! Endpoints from Pods, as the EndpointSlice controller promises them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;

use etm_model::{EndpointSlice, Family, ObjectName};
use etm_source::{
    convert::{self, Pod},
    derive::{self, Derived},
};

const READY: &str = "conditions: [{type: Ready, status: 'True'}]";

fn pod(name: &str, metadata: &str, spec: &str, status: &str) -> Pod {
    let text = format!(
        "metadata: {{name: {name}, namespace: shop, labels: {{app: cart}}{metadata}}}\n\
         spec: {{{spec}}}\nstatus: {{{status}}}"
    );
    let converted = convert::pod(&serde_saphyr::from_str(&text).unwrap());
    assert_eq!(converted.problems, []);
    converted.object.unwrap()
}

/// A ready Pod without named ports.
fn plain(name: &str, ip: &str) -> Pod {
    pod(name, "", "containers: []", &format!("podIPs: [{{ip: '{ip}'}}], {READY}"))
}

/// A ready Pod whose container names a port.
fn named(name: &str, ip: &str, port: &str) -> Pod {
    let spec = format!("containers: [{{name: c, ports: [{{{port}}}]}}]");
    pod(name, "", &spec, &format!("podIPs: [{{ip: '{ip}'}}], {READY}"))
}

fn derive(spec: &str, pods: &[Pod]) -> Derived {
    let text = format!(
        "metadata: {{name: cart, namespace: shop}}\n\
         spec: {{selector: {{app: cart}}, clusterIP: 10.96.0.1, {spec}}}"
    );
    let object = convert::service(&serde_saphyr::from_str(&text).unwrap()).object.unwrap();
    derive::endpoint_slices(&ObjectName::new("shop", "cart"), &object.selection.unwrap(), pods)
}

fn only(derived: Derived) -> EndpointSlice {
    let [slice] = derived.slices.try_into().unwrap();
    slice
}

fn addresses(slice: &EndpointSlice) -> Vec<IpAddr> {
    slice.endpoints.iter().map(|endpoint| endpoint.address).collect()
}

/// ready, serving, terminating of the only endpoint.
fn conditions(spec: &str, pod: Pod) -> (bool, bool, bool) {
    let slice = only(derive(&format!("ports: [{{port: 80}}]{spec}"), &[pod]));
    let endpoint = &slice.endpoints[0];
    (endpoint.ready, endpoint.serving, endpoint.terminating)
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn selector_matches_labels() {
    let mut other = plain("other", "10.244.0.2");
    other.labels = vec![("app".into(), "web".into())];
    let slice = only(derive("ports: [{port: 80}]", &[plain("cart-0", "10.244.0.1"), other]));
    assert_eq!(addresses(&slice), ips(&["10.244.0.1"]));
    assert_eq!(slice.endpoints[0].pod, Some(ObjectName::new("shop", "cart-0")));
    assert_eq!((&*slice.service, slice.family), ("cart", Family::V4));
}

#[test]
fn pod_ips_of_each_family() {
    let status =
        format!("podIPs: [{{ip: 10.244.0.1}}, {{ip: 'fd00::1'}}], podIP: 10.244.0.9, {READY}");
    let pods = [pod("cart-0", "", "containers: []", &status)];
    let derived = derive("clusterIPs: [10.96.0.1, 'fd00:96::1'], ports: [{port: 80}]", &pods);
    let [v4, v6] = derived.slices.try_into().unwrap();
    assert_eq!((v4.family, addresses(&v4)), (Family::V4, ips(&["10.244.0.1"])));
    assert_eq!((v6.family, addresses(&v6)), (Family::V6, ips(&["fd00::1"])));
    assert_eq!(derive("ports: [{port: 80}]", &pods).slices.len(), 1);
}

#[test]
fn pod_ip_where_there_are_no_pod_ips() {
    let pods = [pod("cart-0", "", "containers: []", &format!("podIP: 10.244.0.1, {READY}"))];
    assert_eq!(addresses(&only(derive("ports: [{port: 80}]", &pods))), ips(&["10.244.0.1"]));
}

#[test]
fn pods_without_an_address_or_finished() {
    for status in
        ["", "podIP: ''", "phase: Succeeded, podIP: 10.244.0.1", "phase: Failed, podIP: 10.244.0.1"]
    {
        let pods = [pod("cart-0", "", "containers: []", status)];
        assert_eq!(derive("ports: [{port: 80}]", &pods).slices, [], "{status}");
    }
}

#[test]
fn readiness() {
    let with = |metadata: &str, status: &str| {
        pod("cart-0", metadata, "containers: []", &format!("podIP: 10.244.0.1{status}"))
    };
    let ready = format!(", {READY}");
    let deleted = ", deletionTimestamp: '2026-01-01T00:00:00Z'";
    assert_eq!(conditions("", with("", &ready)), (true, true, false));
    assert_eq!(conditions("", with("", "")), (false, false, false));
    let unready = ", conditions: [{type: Ready, status: 'False'}]";
    assert_eq!(conditions("", with("", unready)), (false, false, false));
    assert_eq!(conditions("", with(deleted, &ready)), (false, true, true));
    assert_eq!(conditions("", with(deleted, "")), (false, false, true));
}

#[test]
fn publish_not_ready_addresses() {
    let unready = pod("cart-0", "", "containers: []", "podIP: 10.244.0.1");
    let spec = ", publishNotReadyAddresses: true";
    assert_eq!(conditions(spec, unready), (true, false, false));
}

#[test]
fn target_port_number_or_absent() {
    let pods = [plain("cart-0", "10.244.0.1")];
    assert_eq!(only(derive("ports: [{port: 80}]", &pods)).ports[0].port, 80);
    assert_eq!(only(derive("ports: [{port: 80, targetPort: 8080}]", &pods)).ports[0].port, 8080);
}

#[test]
fn target_port_names_resolve_in_each_pod() {
    let pods = [
        named("cart-0", "10.244.0.1", "name: http, containerPort: 8080"),
        named("cart-1", "10.244.0.2", "name: http, containerPort: 9090"),
        named("cart-2", "10.244.0.3", "name: http, containerPort: 8080"),
        named("cart-3", "10.244.0.4", "name: http, containerPort: 8080, protocol: UDP"),
    ];
    let derived = derive("ports: [{name: web, port: 80, targetPort: http}]", &pods);
    assert_eq!(derived.unresolved, [0; 0]);
    let [first, second] = derived.slices.try_into().unwrap();
    assert_eq!((&*first.ports[0].name, first.ports[0].port), ("web", 8080));
    assert_eq!(addresses(&first), ips(&["10.244.0.1", "10.244.0.3"]));
    assert_eq!((second.ports[0].port, addresses(&second)), (9090, ips(&["10.244.0.2"])));
    assert_ne!(first.name, second.name);
}

#[test]
fn target_port_names_of_sidecars() {
    let spec = "containers: [], initContainers: [\
                {name: a, ports: [{name: http, containerPort: 1}]}, \
                {name: b, restartPolicy: Always, ports: [{name: http, containerPort: 2}]}]";
    let pods = [pod("cart-0", "", spec, &format!("podIP: 10.244.0.1, {READY}"))];
    let slice = only(derive("ports: [{port: 80, targetPort: http}]", &pods));
    assert_eq!(slice.ports[0].port, 2);
}

#[test]
fn target_port_names_that_no_pod_has() {
    let pods = [plain("cart-0", "10.244.0.1")];
    let derived =
        derive("ports: [{name: a, port: 80}, {name: b, port: 81, targetPort: http}]", &pods);
    assert_eq!(derived.unresolved, [1]);
    assert_eq!(only(derived).ports.len(), 1);
    assert_eq!(derive("ports: [{port: 81, targetPort: http}]", &[]).unresolved, [0; 0]);
}

#[test]
fn pods_with_bad_fields() {
    let text = "metadata: {name: cart-0}\n\
                spec: {containers: [{name: c, ports: [{name: a, containerPort: 0}, \
                {name: b, containerPort: 1, protocol: x}, {name: c, containerPort: 2}]}]}\n\
                status: {podIPs: [{ip: x}, {ip: 127.0.0.1}, {ip: 10.244.0.1}]}";
    let converted = convert::pod(&serde_saphyr::from_str(text).unwrap());
    let pod = converted.object.unwrap();
    assert_eq!(pod.addresses, ips(&["10.244.0.1"]));
    assert_eq!(pod.ports.len(), 1);
    let fields: Vec<_> = converted.problems.iter().map(|problem| &*problem.field).collect();
    assert_eq!(
        fields,
        [
            "status.podIPs[0].ip",
            "status.podIPs[1].ip",
            "spec.containers[0].ports[0].containerPort",
            "spec.containers[0].ports[1].protocol",
        ]
    );
}

#[test]
fn spec_node_name() {
    let at = |spec: &str| {
        let spec = format!("containers: []{spec}");
        let pod = pod("cart-0", "", &spec, &format!("podIPs: [{{ip: 10.244.0.1}}], {READY}"));
        let slice = only(derive("ports: [{port: 80}]", &[pod]));
        slice.endpoints[0].locality.as_ref().and_then(|locality| locality.node.clone())
    };
    assert_eq!(at(", nodeName: a").as_deref(), Some("a"));
    assert_eq!(at(""), None);
}
