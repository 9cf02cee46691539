//! Every field of a Service that is honoured, named after the field.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{Address, AddressKind, Family, Problem, Protocol, Service};
use etm_source::convert::{self, Converted, ServiceObject, Target};

fn convert(spec: &str) -> Converted<ServiceObject> {
    convert_with("", spec)
}

fn convert_with(labels: &str, rest: &str) -> Converted<ServiceObject> {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: shop{labels}}}\n{rest}"
    );
    convert::service(&serde_saphyr::from_str(&text).unwrap())
}

/// The Service of a spec that has nothing wrong.
fn service(spec: &str) -> Service {
    let converted = convert(spec);
    assert_eq!(converted.problems, []);
    converted.object.unwrap().service
}

/// The Service, and the one problem of a spec: its field.
fn flawed(spec: &str) -> (Service, Problem) {
    let converted = convert(spec);
    let [problem] = converted.problems.try_into().unwrap();
    assert_eq!(problem.object, "Service shop/cart");
    assert!(!problem.hint.is_empty());
    (converted.object.unwrap().service, problem)
}

fn ips(service: &Service, kind: AddressKind) -> Vec<String> {
    let of_kind = service.addresses.iter().filter(|address| address.kind == kind);
    of_kind.map(|Address { ip, .. }| ip.to_string()).collect()
}

fn numbers(service: &Service) -> Vec<u16> {
    service.ports.iter().map(|port| port.port).collect()
}

const CLUSTER: AddressKind = AddressKind::Cluster;

#[test]
fn metadata() {
    let converted = convert_with(
        ", creationTimestamp: \"1970-01-01T00:01:00Z\"",
        "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}",
    );
    let service = converted.object.unwrap().service;
    assert_eq!(service.name.to_string(), "shop/cart");
    assert_eq!(service.created, Some(60));
    let object = serde_saphyr::from_str(
        "metadata: {name: cart}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}",
    );
    let service = convert::service(&object.unwrap()).object.unwrap().service;
    assert_eq!(service.name.to_string(), "default/cart");
    let nameless = convert::service(&serde_saphyr::from_str("spec: {}").unwrap());
    assert_eq!(nameless.object, None);
    assert_eq!(nameless.problems[0].field, "metadata.name");
}

#[test]
fn type_cluster_ip_is_the_default() {
    let service = service("spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}");
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1"]);
    assert_eq!(service.ports[0].node_port, None);
}

#[test]
fn type_external_name_is_left_alone() {
    let converted = convert("spec: {type: ExternalName, externalName: example.org}");
    assert_eq!((converted.object, converted.problems), (None, vec![]));
}

#[test]
fn type_unknown_is_left_alone() {
    let converted = convert("spec: {type: Magic, clusterIP: 10.96.0.1, ports: [{port: 80}]}");
    assert_eq!(converted.object, None);
    assert_eq!(converted.problems[0].field, "spec.type");
}

#[test]
fn spec_missing() {
    let converted = convert("");
    assert_eq!(converted.object, None);
    assert_eq!(converted.problems[0].field, "spec");
}

#[test]
fn cluster_ip_none_is_headless() {
    for spec in ["clusterIP: None", "clusterIPs: [None]"] {
        let converted = convert(&format!("spec: {{{spec}, ports: [{{port: 80}}]}}"));
        assert_eq!((converted.object, converted.problems), (None, vec![]), "{spec}");
    }
}

#[test]
fn cluster_ips() {
    let service = service(
        "spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, \"fd00::1\"], ports: [{port: 80}]}",
    );
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1", "fd00::1"]);
}

#[test]
fn cluster_ips_differing_from_cluster_ip() {
    let (service, problem) =
        flawed("spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.1], ports: [{port: 80}]}");
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1"]);
    assert_eq!(problem.field, "spec.clusterIP");
}

#[test]
fn cluster_ips_missing() {
    let (service, problem) = flawed("spec: {ports: [{port: 80}]}");
    assert_eq!(service.addresses, []);
    assert_eq!(problem.field, "spec.clusterIPs");
}

#[test]
fn cluster_ips_that_are_no_addresses() {
    for bad in ["10.96.0.256", "cart", "\"::\"", "127.0.0.1", "224.0.0.1"] {
        let (service, problem) =
            flawed(&format!("spec: {{clusterIPs: [{bad}, \"fd00::1\"], ports: [{{port: 80}}]}}"));
        assert_eq!(ips(&service, CLUSTER), ["fd00::1"], "{bad}");
        assert_eq!(problem.field, "spec.clusterIPs[0]", "{bad}");
    }
}

#[test]
fn cluster_ips_mapped_to_ipv4() {
    let service = service("spec: {clusterIP: \"::ffff:10.96.0.1\", ports: [{port: 80}]}");
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1"]);
}

#[test]
fn cluster_ips_of_one_family() {
    let (service, problem) =
        flawed("spec: {clusterIPs: [10.96.0.1, 10.96.0.2], ports: [{port: 80}]}");
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1"]);
    assert_eq!(problem.field, "spec.clusterIPs[1]");
}

#[test]
fn ip_families_contradicting_cluster_ips() {
    let (service, problem) = flawed(
        "spec: {ipFamilies: [IPv6, IPv4], clusterIPs: [10.96.0.1, 10.96.0.2], ports: [{port: 80}]}",
    );
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.2"]);
    assert_eq!(problem.field, "spec.clusterIPs[0]");
    assert_eq!(problem.reason, "`10.96.0.1` is not an IPv6 address");
    let (service, problem) = flawed(
        "spec: {ipFamilies: [IPv4], clusterIPs: [10.96.0.1, \"fd00::1\"], ports: [{port: 80}]}",
    );
    assert_eq!(ips(&service, CLUSTER), ["10.96.0.1"]);
    assert_eq!(problem.field, "spec.clusterIPs[1]");
}

#[test]
fn ip_families_decide_for_pods() {
    let families = |spec: &str| {
        let spec = format!("spec: {{selector: {{app: cart}}, ports: [{{port: 80}}], {spec}}}");
        convert(&spec).object.unwrap().selection.unwrap().families.clone()
    };
    assert_eq!(families("ipFamilies: [IPv6], clusterIP: \"fd00::1\""), [Family::V6]);
    assert_eq!(families("clusterIP: \"fd00::1\""), [Family::V6]);
    assert_eq!(families("externalIPs: [192.0.2.1]"), [Family::V4, Family::V6]);
    let problem = convert("spec: {ipFamilies: [IPv5], clusterIP: 10.96.0.1, ports: [{port: 80}]}");
    assert_eq!(problem.problems[0].field, "spec.ipFamilies[0]");
}

#[test]
fn ports_protocol() {
    let service = service(
        "spec: {clusterIP: 10.96.0.1, ports: [{name: a, port: 53}, \
         {name: b, port: 53, protocol: UDP}, {name: c, port: 53, protocol: SCTP}]}",
    );
    let protocols: Vec<_> = service.ports.iter().map(|port| port.protocol).collect();
    assert_eq!(protocols, [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
}

#[test]
fn ports_of_which_one_is_bad() {
    for (bad, field) in [
        ("name: b, port: 0", "port"),
        ("name: b, port: 65536", "port"),
        ("name: b, port: -1", "port"),
        ("name: b, port: 81, protocol: tcp", "protocol"),
        ("port: 81", "name"),
        ("name: a, port: 81", "name"),
        ("name: b, port: 80", "port"),
    ] {
        let (service, problem) = flawed(&format!(
            "spec: {{clusterIP: 10.96.0.1, ports: [{{name: a, port: 80}}, {{{bad}}}]}}"
        ));
        assert_eq!(numbers(&service), [80], "{bad}");
        assert_eq!(problem.field, format!("spec.ports[1].{field}"), "{bad}");
    }
}

#[test]
fn ports_missing() {
    assert_eq!(flawed("spec: {clusterIP: 10.96.0.1}").1.field, "spec.ports");
}

#[test]
fn ports_target_port() {
    let targets = |port: &str| {
        let spec = format!(
            "spec: {{clusterIP: 10.96.0.1, selector: {{a: b}}, ports: [{{port: 80{port}}}]}}"
        );
        let converted = convert(&spec);
        let ports = converted.object.unwrap().selection.unwrap().ports.clone();
        (ports.into_iter().map(|port| port.target).collect::<Vec<_>>(), converted.problems.len())
    };
    assert_eq!(targets(""), (vec![Target::Number(80)], 0));
    assert_eq!(targets(", targetPort: 8080"), (vec![Target::Number(8080)], 0));
    assert_eq!(targets(", targetPort: http"), (vec![Target::Name("http".into())], 0));
    assert_eq!(targets(", targetPort: 70000"), (vec![], 1));
}

#[test]
fn ports_node_port() {
    for kind in ["NodePort", "LoadBalancer"] {
        let service = service(&format!(
            "spec: {{type: {kind}, clusterIP: 10.96.0.1, ports: [{{port: 80, nodePort: 30080}}]}}"
        ));
        assert_eq!(service.ports[0].node_port, Some(30080));
    }
    for (spec, field) in [
        ("ports: [{port: 80, nodePort: 30080}]", "spec.ports[0].nodePort"),
        ("type: NodePort, ports: [{port: 80, nodePort: 65536}]", "spec.ports[0].nodePort"),
    ] {
        let (service, problem) = flawed(&format!("spec: {{clusterIP: 10.96.0.1, {spec}}}"));
        assert_eq!(service.ports[0].node_port, None);
        assert_eq!(problem.field, field);
    }
    let (service, problem) = flawed(
        "spec: {type: NodePort, clusterIP: 10.96.0.1, ports: [{name: a, port: 80, nodePort: 30080}, \
         {name: b, port: 81, nodePort: 30080}, {name: c, port: 80, protocol: UDP, nodePort: 30080}]}",
    );
    let node_ports: Vec<_> = service.ports.iter().map(|port| port.node_port).collect();
    assert_eq!(node_ports, [Some(30080), None, Some(30080)]);
    assert_eq!(problem.field, "spec.ports[1].nodePort");
}

#[test]
fn allocate_load_balancer_node_ports() {
    let service = service(
        "spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, clusterIP: 10.96.0.1, \
         ports: [{port: 80, nodePort: 0}]}",
    );
    assert_eq!(service.ports[0].node_port, None);
}

#[test]
fn external_ips() {
    let (service, problem) = flawed(
        "spec: {clusterIP: 10.96.0.1, externalIPs: [192.0.2.1, 169.254.169.254, 10.96.0.1], \
         ports: [{port: 80}]}",
    );
    assert_eq!(ips(&service, AddressKind::External), ["192.0.2.1"]);
    assert_eq!(problem.field, "spec.externalIPs[1]");
    let (service, problem) =
        flawed("spec: {clusterIP: 10.96.0.1, externalIPs: [\"2001:db8::1\"], ports: [{port: 80}]}");
    assert_eq!(ips(&service, AddressKind::External), [""; 0]);
    assert_eq!(problem.field, "spec.externalIPs[0]");
}

#[test]
fn load_balancer_ingress_ip_mode() {
    let spec = "spec: {type: LoadBalancer, clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";
    let service = service(&format!(
        "{spec}status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}, {{ip: 192.0.2.2, ipMode: VIP}}, \
         {{ip: 192.0.2.3, ipMode: Proxy}}, {{hostname: lb.example.org}}]}}}}"
    ));
    assert_eq!(ips(&service, AddressKind::LoadBalancer), ["192.0.2.1", "192.0.2.2"]);
    let (service, problem) = flawed(&format!(
        "{spec}status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1, ipMode: Odd}}]}}}}"
    ));
    assert_eq!(ips(&service, AddressKind::LoadBalancer), [""; 0]);
    assert_eq!(problem.field, "status.loadBalancer.ingress[0].ipMode");
}

#[test]
fn load_balancer_ingress_of_another_type() {
    let (service, problem) = flawed(
        "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n\
         status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}",
    );
    assert_eq!(ips(&service, AddressKind::LoadBalancer), [""; 0]);
    assert_eq!(problem.field, "status.loadBalancer.ingress[0].ip");
}

#[test]
fn selector_absent_or_empty_leaves_the_slices_to_the_owner() {
    for selector in ["", "selector: {}, "] {
        let spec = format!("spec: {{{selector}clusterIP: 10.96.0.1, ports: [{{port: 80}}]}}");
        assert_eq!(convert(&spec).object.unwrap().selection, None);
    }
}

#[test]
fn label_headless() {
    let spec = "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}";
    let label = ", labels: {service.kubernetes.io/headless: \"\"}";
    assert_eq!(convert_with(label, spec).object, None);
}

#[test]
fn label_service_proxy_name() {
    let spec = "spec: {clusterIP: bad, ports: [{port: 80}]}";
    let label = ", labels: {service.kubernetes.io/service-proxy-name: etm}";
    let converted = convert_with(label, spec);
    assert!(converted.clone().for_proxy(Some("etm")).object.is_some());
    for other in [None, Some("other")] {
        let left = converted.clone().for_proxy(other);
        assert_eq!((left.object, left.problems), (None, vec![]));
    }
    assert!(convert(spec).for_proxy(Some("etm")).object.is_some());
}

#[test]
fn headless_services_say_how_their_pods_are_found() {
    let headless = |spec: &str| {
        let text = format!("metadata: {{name: new, namespace: shop}}\n{spec}");
        convert::headless(&serde_saphyr::from_str(&text).unwrap())
    };
    let selecting = "selector: {app: new}, ports: [{name: http, port: 80, targetPort: 8080}]";
    let found = headless(&format!("spec: {{clusterIP: None, {selecting}}}")).unwrap();
    assert_eq!(found.problems, []);
    let (name, pods) = found.object.unwrap();
    assert_eq!(name.to_string(), "shop/new");
    assert_eq!((&*pods.ports[0].name, &pods.ports[0].target), ("http", &Target::Number(8080)));
    assert_eq!(pods.families.len(), 2, "either, unless it says which");
    for other in [
        format!("spec: {{clusterIP: 10.96.0.1, {selecting}}}"),
        format!("spec: {{type: ExternalName, clusterIP: None, {selecting}}}"),
        "spec: {clusterIP: None, ports: [{port: 80}]}".to_owned(),
    ] {
        assert_eq!(headless(&other), None, "{other}");
    }
}
