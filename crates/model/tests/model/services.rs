//! Where a Service is served.

use etm_model::{
    Address, AddressKind, Change, FrontendKey, Listener, Options, Plan, Protocol, Refusal, Service,
    UnknownPort, compile,
};

use crate::cluster::{ip, service, slice, snapshot, this_node};

fn node() -> Change {
    Change::Node(this_node(&["192.0.2.1", "2001:db8::1"]))
}

fn plan(service: Service, unknown_port: UnknownPort) -> Plan {
    let changes = [
        node(),
        Change::SetSlice(slice("cart", "four", &["10.1.0.1"])),
        Change::SetService(service),
    ];
    compile(&snapshot(&changes), &Options { refusal: Refusal::HostUnreachable, unknown_port })
}

/// Addresses on which a TCP port is served.
fn served(plan: &Plan, port: u16) -> Vec<String> {
    let listener = Listener::Port(port, Protocol::Tcp);
    let keys = plan.frontends.keys().filter(|key| key.listener == listener);
    keys.map(|key| key.ip.to_string()).collect()
}

fn with_node_port(cluster: &[&str]) -> Service {
    let mut service = service("cart", cluster);
    service.ports[0].node_port = Some(30080);
    service
}

#[test]
fn every_address_is_served_with_the_service_s_errno() {
    let mut cart = service("cart", &["10.0.0.1", "fd00::1"]);
    for (text, kind) in
        [("198.51.100.1", AddressKind::External), ("203.0.113.1", AddressKind::LoadBalancer)]
    {
        cart.addresses.push(Address { ip: ip(text), kind });
    }
    let plan = plan(cart, UnknownPort::Pass);
    assert_eq!(served(&plan, 80), ["10.0.0.1", "198.51.100.1", "203.0.113.1", "fd00::1"]);
    assert_eq!(plan.frontends.len(), 4);
    assert!(plan.frontends.values().all(|frontend| frontend.errno == 113 && !frontend.node_only));
}

#[test]
fn node_ports_are_served_in_the_families_of_the_cluster_addresses() {
    let v4 = ["127.0.0.1", "192.0.2.1"];
    let v6 = ["::1", "2001:db8::1"];
    let ports = |cluster: &[&str]| served(&plan(with_node_port(cluster), UnknownPort::Pass), 30080);
    assert_eq!(ports(&["10.0.0.1"]), v4);
    assert_eq!(ports(&["fd00::1"]), v6);
    assert_eq!(ports(&["fd00::1", "10.0.0.1"]), [v4, v6].concat());
    // Without a cluster address, those of the slices.
    assert_eq!(ports(&[]), v4);
}

#[test]
fn loopback_is_the_node_s_alone() {
    let plan = plan(with_node_port(&["10.0.0.1"]), UnknownPort::Refuse);
    for (key, frontend) in &plan.frontends {
        assert_eq!(frontend.node_only, key.ip.is_loopback());
    }
}

#[test]
fn unknown_ports_are_refused_except_on_the_node_s_own_addresses() {
    let mut cart = with_node_port(&["10.0.0.1", "fd00::1"]);
    for text in ["192.0.2.1", "127.0.0.1"] {
        cart.addresses.push(Address { ip: ip(text), kind: AddressKind::External });
    }
    assert!(
        plan(cart.clone(), UnknownPort::Pass)
            .frontends
            .keys()
            .all(|key| key.listener != Listener::AnyPort)
    );
    let plan = plan(cart, UnknownPort::Refuse);
    for text in ["10.0.0.1", "fd00::1"] {
        let key = FrontendKey { ip: ip(text), listener: Listener::AnyPort };
        let frontend = &plan.frontends[&key];
        assert!(frontend.pool.is_empty());
        assert_eq!(frontend.service.to_string(), "shop/cart:http/TCP");
    }
    let refused = plan.frontends.keys().filter(|key| key.listener == Listener::AnyPort);
    assert_eq!(refused.count(), 2);
}

#[test]
fn two_services_may_refuse_on_one_address() {
    let changes = ["cart", "mail"].map(|name| {
        let mut service = service(name, &["10.0.0.1"]);
        service.ports[0].port = if name == "cart" { 80 } else { 81 };
        Change::SetService(service)
    });
    let options = Options { unknown_port: UnknownPort::Refuse, ..Options::default() };
    let plan = compile(&snapshot(&changes), &options);
    assert_eq!((plan.frontends.len(), plan.problems.len()), (3, 0));
}
