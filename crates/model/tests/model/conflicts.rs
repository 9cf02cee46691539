//! Two Services that want one address and port.

use etm_model::{
    Address, AddressKind, Change, FrontendKey, Listener, Options, Planner, Protocol, Service,
    compile,
};

use crate::cluster::{ip, port, service, snapshot, this_node};

fn key(address: &str, number: u16) -> FrontendKey {
    FrontendKey { ip: ip(address), listener: Listener::Port(number, Protocol::Tcp) }
}

fn aged(name: &str, created: Option<i64>) -> Service {
    Service { created, ..service(name, &["10.0.0.1"]) }
}

fn owner(planner: &Planner, key: FrontendKey) -> &str {
    &planner.plan().frontends[&key].service.service.name
}

#[test]
fn the_older_keeps_it_and_the_younger_is_told() {
    let mut planner = Planner::new(Options::default());
    planner.change([Change::SetService(aged("young", Some(7)))]);
    planner.change([Change::SetService(aged("ageless", None))]);
    assert_eq!(owner(&planner, key("10.0.0.1", 80)), "young");
    let delta = planner.change([Change::SetService(aged("old", Some(3)))]);
    assert_eq!(delta.set.len(), 1);
    assert_eq!(owner(&planner, key("10.0.0.1", 80)), "old");

    let told: Vec<_> = planner.problems().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2);
    for part in ["Service shop/young", "spec.clusterIPs", "10.0.0.1", "80/TCP", "shop/old"] {
        assert!(told[1].contains(part), "{}", told[1]);
    }

    planner.change([Change::RemoveService(aged("old", None).name)]);
    assert_eq!(owner(&planner, key("10.0.0.1", 80)), "young");
    assert_eq!(planner.problems().len(), 1);
    planner.change([Change::SetService(service("ageless", &["10.0.0.9"]))]);
    assert_eq!(planner.problems(), []);
}

#[test]
fn equally_old_services_are_told_apart_by_name() {
    let mut planner = Planner::new(Options::default());
    planner.change(["b", "a", "c"].map(|name| Change::SetService(aged(name, Some(1)))));
    assert_eq!(owner(&planner, key("10.0.0.1", 80)), "a");
    assert_eq!(planner.problems().len(), 2);
}

#[test]
fn an_address_that_is_listed_twice_is_no_conflict() {
    let mut twice = service("cart", &["10.0.0.1"]);
    twice.addresses.push(Address { ip: ip("10.0.0.1"), kind: AddressKind::External });
    let plan = compile(&snapshot(&[Change::SetService(twice)]), &Options::default());
    assert_eq!((plan.frontends.len(), plan.problems.len()), (1, 0));
}

#[test]
fn a_node_port_can_collide_with_an_external_address() {
    let node = this_node(&["192.0.2.1"]);
    let mut external = service("external", &[]);
    external.addresses.push(Address { ip: ip("192.0.2.1"), kind: AddressKind::External });
    let mut ported = Service { created: Some(2), ..service("ported", &["10.0.0.1"]) };
    ported.ports[0].node_port = Some(80);
    let changes = [Change::Node(node), Change::SetService(external), Change::SetService(ported)];
    let plan = compile(&snapshot(&changes), &Options::default());
    assert_eq!(&*plan.frontends[&key("192.0.2.1", 80)].service.service.name, "external");
    assert_eq!(plan.problems.len(), 1);
    assert_eq!(plan.problems[0].field, "spec.ports[0].nodePort");
}

#[test]
fn two_ports_of_one_service_cannot_share_a_number() {
    let mut cart = service("cart", &["10.0.0.1"]);
    cart.ports.push(port("again", Protocol::Tcp, 80, None));
    cart.ports.push(port("other", Protocol::Udp, 80, None));
    let plan = compile(&snapshot(&[Change::SetService(cart)]), &Options::default());
    assert_eq!(plan.frontends.len(), 2);
    assert_eq!(&*plan.frontends[&key("10.0.0.1", 80)].service.port, "http");
    assert_eq!(plan.problems.len(), 1);
    assert_eq!(plan.problems[0].field, "spec.ports[1].port");
}
