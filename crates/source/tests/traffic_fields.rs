//! Fields of a Service that say who reaches which of its endpoints, and those that say nothing to
//! a proxy, each named after the field.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{AddressKind, Affinity, Problem, Service, TrafficPolicy};
use etm_source::convert;

const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// A Service of type LoadBalancer with further fields in its spec, and its problems.
fn convert_with(metadata: &str, spec: &str) -> (Service, Vec<Problem>) {
    let text = format!(
        "metadata: {{name: cart, namespace: shop{metadata}}}\n\
         spec: {{type: LoadBalancer, clusterIP: 10.96.0.1, ports: [{{port: 80, nodePort: 30080}}]{spec}}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}]}}}}"
    );
    let converted = convert::service(&serde_saphyr::from_str(&text).unwrap());
    (converted.object.unwrap().service, converted.problems)
}

fn service(spec: &str) -> Service {
    let (service, problems) = convert_with("", spec);
    assert_eq!(problems, []);
    service
}

/// The Service, and the one problem that it has, in words.
fn flawed(metadata: &str, spec: &str) -> (Service, String) {
    let (service, problems) = convert_with(metadata, spec);
    let [problem] = problems.try_into().unwrap();
    assert!(!problem.hint.is_empty());
    (service, problem.to_string())
}

/// Fields that change nothing, and nothing is told of them.
fn ignored(spec: &str) {
    assert_eq!(service(spec), service(""), "{spec}");
}

fn ranges(service: &Service) -> Option<Vec<String>> {
    service.source_ranges.as_ref().map(|all| all.iter().map(ToString::to_string).collect())
}

#[test]
fn internal_traffic_policy() {
    let policy = |spec: &str| service(spec).internal_policy;
    assert_eq!(policy(""), TrafficPolicy::Cluster);
    assert_eq!(policy(", internalTrafficPolicy: Cluster"), TrafficPolicy::Cluster);
    assert_eq!(policy(", internalTrafficPolicy: Local"), TrafficPolicy::Local);
    let (service, problem) = flawed("", ", internalTrafficPolicy: local");
    assert_eq!(service.internal_policy, TrafficPolicy::Cluster);
    let told = "Service shop/cart: spec.internalTrafficPolicy: `local` is not known (use Cluster";
    assert!(problem.starts_with(told), "{problem}");
}

#[test]
fn external_traffic_policy() {
    let policy = |spec: &str| service(spec).external_policy;
    assert_eq!(policy(""), TrafficPolicy::Cluster);
    assert_eq!(policy(", externalTrafficPolicy: Cluster"), TrafficPolicy::Cluster);
    assert_eq!(policy(", externalTrafficPolicy: Local"), TrafficPolicy::Local);
    let (service, problem) = flawed("", ", externalTrafficPolicy: OnlyLocal");
    assert_eq!(service.external_policy, TrafficPolicy::Cluster);
    assert!(problem.contains("spec.externalTrafficPolicy: `OnlyLocal` is not known"), "{problem}");
}

#[test]
fn health_check_node_port() {
    let local = ", externalTrafficPolicy: Local, healthCheckNodePort";
    assert_eq!(service(&format!("{local}: 32000")).health_check_port, Some(32000));
    assert_eq!(service(&format!("{local}: 0")).health_check_port, None);
    for number in [-1, 65536] {
        let (service, problem) = flawed("", &format!("{local}: {number}"));
        assert_eq!(service.health_check_port, None);
        assert!(problem.contains("spec.healthCheckNodePort: port"), "{problem}");
    }
    let text = "metadata: {name: cart}\nspec: {type: NodePort, externalTrafficPolicy: Local, \
                clusterIP: 10.96.0.1, ports: [{port: 80}], healthCheckNodePort: 32000}";
    let converted = convert::service(&serde_saphyr::from_str(text).unwrap());
    assert_eq!(converted.object.unwrap().service.health_check_port, None);
    assert_eq!(converted.problems[0].field, "spec.healthCheckNodePort");
    assert!(flawed("", ", healthCheckNodePort: 32000").1.contains("externalTrafficPolicy Local"));
}

#[test]
fn load_balancer_source_ranges() {
    let given = |text: &str| ranges(&service(&format!(", loadBalancerSourceRanges: {text}")));
    let some = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(given("[]"), None);
    assert_eq!(given("[192.0.2.0/24, \"fd00::/8\"]"), some(&["192.0.2.0/24", "fd00::/8"]));
    assert_eq!(given("[\" 10.1.2.3/8 \", 10.0.0.0/8]"), some(&["10.0.0.0/8"]));
    assert_eq!(given("[\"::ffff:192.0.2.0/120\"]"), some(&["192.0.2.0/24"]));
    for bad in ["192.0.2.1", "192.0.2.0/33", "home", "", "192.0.2.0/255.255.255.0"] {
        let (service, problem) =
            flawed("", &format!(", loadBalancerSourceRanges: [\"{bad}\", 10.0.0.0/8]"));
        assert_eq!(ranges(&service), some(&["10.0.0.0/8"]), "{bad}");
        let told = format!("spec.loadBalancerSourceRanges[0]: `{bad}` is not a range");
        assert!(problem.contains(&told), "{problem}");
    }
    // Not the same as no range at all.
    assert_eq!(ranges(&flawed("", ", loadBalancerSourceRanges: [home]").0), some(&[]));
}

#[test]
fn load_balancer_source_ranges_of_another_type() {
    let text = "metadata: {name: cart}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 80}], \
                loadBalancerSourceRanges: [10.0.0.0/8]}";
    let converted = convert::service(&serde_saphyr::from_str(text).unwrap());
    assert_eq!(converted.object.unwrap().service.source_ranges, None);
    assert_eq!(converted.problems[0].field, "spec.loadBalancerSourceRanges[0]");
}

#[test]
fn annotation_load_balancer_source_ranges() {
    let annotated = |value: &str| format!(", annotations: {{{ANNOTATION}: \"{value}\"}}");
    let given = |value: &str, spec: &str| ranges(&convert_with(&annotated(value), spec).0).unwrap();
    assert_eq!(given("10.0.0.0/8, 192.0.2.0/24", ""), ["10.0.0.0/8", "192.0.2.0/24"]);
    assert_eq!(given("10.0.0.0/8", ", loadBalancerSourceRanges: [fd00::/8]"), ["fd00::/8"]);
    assert_eq!(ranges(&convert_with(&annotated(" "), "").0), None);
    let (_, problem) = flawed(&annotated("10.0.0.0/8,home"), "");
    assert!(problem.contains(&format!("metadata.annotations[{ANNOTATION}]: `home`")), "{problem}");
}

#[test]
fn traffic_distribution_is_the_controllers_to_turn_into_hints() {
    for value in ["PreferSameZone", "PreferSameNode", "PreferClose", "Whatever"] {
        ignored(&format!(", trafficDistribution: {value}"));
    }
}

#[test]
fn load_balancer_ip_is_ignored() {
    ignored(", loadBalancerIP: 192.0.2.9");
}

#[test]
fn load_balancer_class_is_ignored() {
    let service = service(", loadBalancerClass: example.org/inner");
    let balanced = service.addresses.iter().filter(|a| a.kind == AddressKind::LoadBalancer);
    assert_eq!(balanced.count(), 1, "whoever gave it the address");
    ignored(", loadBalancerClass: example.org/inner");
}

#[test]
fn allocate_load_balancer_node_ports_is_ignored() {
    ignored(", allocateLoadBalancerNodePorts: false");
    ignored(", allocateLoadBalancerNodePorts: true");
}

#[test]
fn session_affinity() {
    let seconds = |spec: &str| service(spec).affinity.map(Affinity::seconds);
    assert_eq!(seconds(""), None);
    assert_eq!(seconds(", sessionAffinity: None"), None);
    assert_eq!(seconds(", sessionAffinity: ClientIP"), Some(10_800));
    let timeout = |seconds: i64| {
        let client = format!("{{clientIP: {{timeoutSeconds: {seconds}}}}}");
        format!(", sessionAffinity: ClientIP, sessionAffinityConfig: {client}")
    };
    assert_eq!(seconds(&timeout(1)), Some(1));
    assert_eq!(seconds(&timeout(86_400)), Some(86_400));
    for wrong in [0, -1, 86_401] {
        let (service, problem) = flawed("", &timeout(wrong));
        assert_eq!(service.affinity.map(Affinity::seconds), Some(10_800));
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        let told = format!("Service shop/cart: {field}: {wrong} is not within 1 and 86400");
        assert!(problem.starts_with(&told), "{problem}");
    }
    let (service, problem) = flawed("", ", sessionAffinity: Cookie");
    assert_eq!(service.affinity, None);
    let told = "Service shop/cart: spec.sessionAffinity: `Cookie` is not known (use None or";
    assert!(problem.starts_with(told), "{problem}");
}

#[test]
fn ip_family_policy_says_nothing_that_the_addresses_do_not() {
    for value in ["SingleStack", "PreferDualStack", "RequireDualStack"] {
        ignored(&format!(", ipFamilyPolicy: {value}"));
    }
}

#[test]
fn publish_not_ready_addresses_is_in_the_slices_and_noted() {
    let published = service(", publishNotReadyAddresses: true");
    assert!(published.publish_not_ready);
    assert_eq!(Service { publish_not_ready: false, ..published }, service(""));
}

#[test]
fn ports_app_protocol_is_a_hint_only() {
    let ports = |further: &str| {
        let text = format!(
            "metadata: {{name: cart}}\nspec: {{clusterIP: 10.96.0.1, ports: [{{port: 80{further}}}]}}"
        );
        let converted = convert::service(&serde_saphyr::from_str(&text).unwrap());
        assert_eq!(converted.problems, []);
        converted.object.unwrap().service.ports
    };
    assert_eq!(ports(", appProtocol: kubernetes.io/h2c"), ports(""));
}
