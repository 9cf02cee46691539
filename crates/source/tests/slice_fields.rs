//! Every field of an EndpointSlice that is honoured, named after the field.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use etm_model::{EndpointSlice, Family, Locality, Protocol};
use etm_source::convert::{self, Converted};

fn convert_with(labels: &str, rest: &str) -> Converted<EndpointSlice> {
    let text = format!("metadata: {{name: cart-1, namespace: shop, labels: {{{labels}}}}}\n{rest}");
    convert::endpoint_slice(&serde_saphyr::from_str(&text).unwrap())
}

fn convert(rest: &str) -> Converted<EndpointSlice> {
    convert_with("kubernetes.io/service-name: cart", rest)
}

fn slice(rest: &str) -> EndpointSlice {
    let converted = convert(rest);
    assert_eq!(converted.problems, []);
    converted.object.unwrap()
}

fn addresses(slice: &EndpointSlice) -> Vec<String> {
    slice.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

#[test]
fn label_service_name() {
    assert_eq!(&*slice("addressType: IPv4").service, "cart");
    let converted = convert_with("", "addressType: IPv4");
    assert_eq!(converted.object, None);
    assert_eq!(converted.problems[0].field, "metadata.labels[kubernetes.io/service-name]");
}

#[test]
fn labels_of_other_proxies() {
    let label = "kubernetes.io/service-name: cart, service.kubernetes.io/service-proxy-name: x";
    let converted = convert_with(label, "addressType: IPv4");
    assert!(converted.clone().for_proxy(Some("x")).object.is_some());
    assert_eq!(converted.for_proxy(None).object, None);
}

#[test]
fn label_headless() {
    let label = "kubernetes.io/service-name: cart, service.kubernetes.io/headless: \"\"";
    let slice = convert_with(label, "addressType: IPv4").object.unwrap();
    assert_eq!(&*slice.service, "cart", "routes may lead there");
}

#[test]
fn address_type() {
    assert_eq!(slice("addressType: IPv4").family, Family::V4);
    assert_eq!(slice("addressType: IPv6").family, Family::V6);
    let fqdn = convert("addressType: FQDN\nendpoints: [{addresses: [a.example.org]}]");
    assert_eq!((fqdn.object, fqdn.problems), (None, vec![]));
    for odd in ["", "addressType: IPv5"] {
        let converted = convert(odd);
        assert_eq!(converted.object, None);
        assert_eq!(converted.problems[0].field, "addressType");
    }
}

#[test]
fn endpoints_addresses_only_the_first() {
    let slice = slice("addressType: IPv4\nendpoints: [{addresses: [10.244.0.1, 10.244.0.2]}]");
    assert_eq!(addresses(&slice), ["10.244.0.1"]);
}

#[test]
fn endpoints_addresses_of_which_one_is_bad() {
    for (bad, reason) in [
        ("[]", "is empty"),
        ("[cart]", "`cart` is not an IP address"),
        ("[\"fd00::1\"]", "`fd00::1` is not an IPv4 address"),
        ("[127.0.0.1]", "`127.0.0.1` is a loopback address"),
        ("[0.0.0.0]", "`0.0.0.0` is the unspecified address"),
        ("[239.0.0.1]", "`239.0.0.1` is a multicast address"),
        ("[169.254.1.1]", "`169.254.1.1` is a link-local address"),
    ] {
        let converted = convert(&format!(
            "addressType: IPv4\nendpoints: [{{addresses: {bad}}}, {{addresses: [10.244.0.1]}}]"
        ));
        assert_eq!(addresses(&converted.object.unwrap()), ["10.244.0.1"], "{bad}");
        let [problem] = converted.problems.try_into().unwrap();
        assert!(problem.field.starts_with("endpoints[0].addresses"), "{bad}");
        assert_eq!(problem.reason, reason);
    }
}

#[test]
fn endpoints_addresses_mapped_to_ipv4() {
    let endpoints = "endpoints: [{addresses: [\"::ffff:10.244.0.1\"]}]";
    assert_eq!(addresses(&slice(&format!("addressType: IPv4\n{endpoints}"))), ["10.244.0.1"]);
    let converted = convert(&format!("addressType: IPv6\n{endpoints}"));
    assert_eq!(addresses(&converted.object.unwrap()), [""; 0]);
    assert_eq!(converted.problems.len(), 1);
}

#[test]
fn endpoints_conditions() {
    for (conditions, expected) in [
        ("", (true, true, false)),
        (", conditions: {}", (true, true, false)),
        (", conditions: {ready: null}", (true, true, false)),
        (", conditions: {ready: false}", (false, true, false)),
        (", conditions: {ready: false, serving: true, terminating: true}", (false, true, true)),
    ] {
        let slice = slice(&format!(
            "addressType: IPv4\nendpoints: [{{addresses: [10.244.0.1]{conditions}}}]"
        ));
        let endpoint = &slice.endpoints[0];
        let got = (endpoint.ready, endpoint.serving, endpoint.terminating);
        assert_eq!(got, expected, "{conditions}");
    }
}

#[test]
fn endpoints_target_ref() {
    for (target, pod) in [
        ("{kind: Pod, name: cart-0}", Some("shop/cart-0")),
        ("{kind: Pod, name: cart-0, namespace: shop}", Some("shop/cart-0")),
        ("{kind: Pod, name: cart-0, namespace: other}", Some("other/cart-0")),
        ("{kind: Node, name: a}", None),
        ("{name: cart-0}", None),
        ("{kind: Pod}", None),
    ] {
        let slice = slice(&format!(
            "addressType: IPv4\nendpoints: [{{addresses: [10.244.0.1], targetRef: {target}}}]"
        ));
        let name = slice.endpoints[0].pod.as_ref().map(ToString::to_string);
        assert_eq!(name.as_deref(), pod, "{target}");
    }
}

#[test]
fn ports() {
    let slice = slice(
        "addressType: IPv4\nports: [{port: 80}, {name: dns, port: 53, protocol: UDP}, {name: nil}, \
         {name: sctp, port: 9, protocol: SCTP}]",
    );
    let ports: Vec<_> = slice.ports.iter().map(|p| (&*p.name, p.port, p.protocol)).collect();
    let expected =
        [("", 80, Protocol::Tcp), ("dns", 53, Protocol::Udp), ("sctp", 9, Protocol::Sctp)];
    assert_eq!(ports, expected);
}

#[test]
fn ports_of_which_one_is_bad() {
    for (bad, field) in [
        ("name: b, port: 0", "port"),
        ("name: b, port: 70000", "port"),
        ("name: b, port: 80, protocol: ICMP", "protocol"),
        ("name: a, port: 81", "name"),
    ] {
        let converted =
            convert(&format!("addressType: IPv4\nports: [{{name: a, port: 80}}, {{{bad}}}]"));
        assert_eq!(converted.object.unwrap().ports.len(), 1, "{bad}");
        assert_eq!(converted.problems[0].field, format!("ports[1].{field}"), "{bad}");
    }
}

#[test]
fn thousands_of_bad_endpoints_are_told_of_once() {
    let endpoints = "{addresses: [x]}, ".repeat(5000);
    let converted = convert(&format!("addressType: IPv4\nendpoints: [{endpoints}]"));
    assert_eq!(converted.problems.len(), 17);
    assert_eq!(converted.problems[16].reason, "has 4984 more problems like these");
}

/// What the one endpoint says of nodes and zones.
fn locality(endpoint: &str) -> Option<Locality> {
    let slice =
        slice(&format!("addressType: IPv4\nendpoints: [{{addresses: [10.244.0.1]{endpoint}}}]"));
    slice.endpoints[0].locality.as_deref().cloned()
}

#[test]
fn endpoints_node_name() {
    let name = |endpoint: &str| locality(endpoint).and_then(|locality| locality.node);
    assert_eq!(name("").as_deref(), None);
    assert_eq!(name(", nodeName: \"\"").as_deref(), None);
    assert_eq!(name(", nodeName: a").as_deref(), Some("a"));
}

#[test]
fn endpoints_zone() {
    let zone = |endpoint: &str| locality(endpoint).and_then(|locality| locality.zone);
    assert_eq!(zone(", nodeName: a").as_deref(), None);
    assert_eq!(zone(", zone: east").as_deref(), Some("east"));
}

#[test]
fn endpoints_hints_for_zones() {
    let hints =
        locality(", hints: {forZones: [{name: east}, {name: west}, {name: \"\"}]}").unwrap();
    assert_eq!(&*hints.for_zones, [Box::from("east"), Box::from("west")]);
    assert!(hints.for_nodes.is_empty());
    for none in [", hints: {}", ", hints: {forZones: []}", ", hints: {forZones: [{name: \"\"}]}"] {
        assert_eq!(locality(none), None, "{none}");
    }
}

#[test]
fn endpoints_hints_for_nodes() {
    let hints = locality(", nodeName: a, hints: {forNodes: [{name: a}], forZones: [{name: east}]}");
    let hints = hints.unwrap();
    assert_eq!((&*hints.for_nodes, &*hints.for_zones), (&["a".into()][..], &["east".into()][..]));
}

#[test]
fn endpoints_that_are_alike_share_what_they_say_of_nodes() {
    let slice = slice(
        "addressType: IPv4\nendpoints: [{addresses: [10.244.0.1], nodeName: a, zone: east}, \
         {addresses: [10.244.0.2], nodeName: a, zone: east}, {addresses: [10.244.0.3], nodeName: b}]",
    );
    let [one, two, three] = [0, 1, 2].map(|i| slice.endpoints[i].locality.as_ref().unwrap());
    assert!(Arc::ptr_eq(one, two) && !Arc::ptr_eq(one, three));
}

#[test]
fn ports_nil_are_not_usable() {
    assert_eq!(
        slice("addressType: IPv4\nports: [{name: any}, {name: none, port: null}]").ports,
        []
    );
}

#[test]
fn ports_app_protocol_is_a_hint_only() {
    let ports =
        |more: &str| slice(&format!("addressType: IPv4\nports: [{{port: 80{more}}}]")).ports;
    assert_eq!(ports(", appProtocol: http"), ports(""));
}

#[test]
fn ports_number_of_a_name_is_each_slices_own() {
    let number = |port: u16| {
        slice(&format!("addressType: IPv4\nports: [{{name: http, port: {port}}}]")).ports[0].port
    };
    assert_eq!([number(8080), number(9090)], [8080, 9090]);
}

#[test]
fn endpoints_hostname_and_deprecated_topology_are_ignored() {
    let topology = "deprecatedTopology: {kubernetes.io/hostname: a}";
    assert_eq!(locality(&format!(", hostname: cart-0, {topology}")), None);
}
