//! What is planned for load balancers: health checks, and who may call their addresses.

use std::sync::Arc;

use etm_model::{
    Address, AddressKind, Change, Endpoint, EndpointSlice, Family, FrontendKey, HealthCheck, IpNet,
    Listener, Node, Options, Plan, Planner, Protocol, Service, TrafficPolicy, compile,
};

use crate::cluster::{endpoint_on, ip, service, slice, snapshot, this_node};

fn checked(name: &str, created: i64, port: u16) -> Service {
    Service {
        created: Some(created),
        health_check_port: Some(port),
        external_policy: TrafficPolicy::Local,
        ..service(name, &[])
    }
}

fn local_endpoints(slices: Vec<EndpointSlice>) -> usize {
    let changes = [Change::Node(this_node(&[])), Change::SetService(checked("cart", 1, 32000))];
    let changes: Vec<_> =
        changes.into_iter().chain(slices.into_iter().map(Change::SetSlice)).collect();
    let plan = compile(&snapshot(&changes), &Options::default());
    let HealthCheck { service, local_endpoints } = &plan.health_checks[&32000];
    assert_eq!(service.to_string(), "shop/cart");
    *local_endpoints
}

fn with(name: &str, endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice { endpoints, ..slice("cart", name, &[]) }
}

#[test]
fn health_check_node_port_counts_ready_endpoints_of_this_node() {
    let near = endpoint_on("here", "10.1.0.1");
    let ending = Endpoint { ready: false, terminating: true, ..endpoint_on("here", "10.1.0.2") };
    let far = endpoint_on("there", "10.1.0.3");
    assert_eq!(local_endpoints(vec![]), 0);
    assert_eq!(local_endpoints(vec![with("one", vec![near.clone(), ending.clone(), far])]), 1);
    assert_eq!(
        local_endpoints(vec![with("one", vec![ending])]),
        0,
        "load balancers are to turn away"
    );
    let other = endpoint_on("here", "10.1.0.4");
    let slices = vec![with("one", vec![near.clone()]), with("two", vec![near.clone(), other])];
    assert_eq!(local_endpoints(slices), 2, "each once");
    let mut unjoined = with("one", vec![near]);
    unjoined.ports[0].name = "admin".into();
    assert_eq!(local_endpoints(vec![unjoined]), 0, "not of a port of the Service");
}

#[test]
fn health_check_node_port_counts_a_pod_of_two_families_once() {
    let four = endpoint_on("here", "10.1.0.1");
    let six = Endpoint { address: ip("fd01::1"), ..four.clone() };
    let both = [
        with("four", vec![four.clone()]),
        EndpointSlice { family: Family::V6, ..with("six", vec![six.clone()]) },
    ];
    assert_eq!(local_endpoints(both.to_vec()), 1);
    let nameless = both.map(|mut slice| {
        slice.endpoints[0].pod = None;
        slice
    });
    assert_eq!(local_endpoints(nameless.to_vec()), 2);
}

#[test]
fn health_check_node_port_is_the_older_services() {
    let mut planner = Planner::new(Options::default());
    planner.change([Change::SetService(checked("young", 2, 32000))]);
    planner.change([Change::SetService(checked("old", 1, 32000))]);
    let owner = |planner: &Planner| planner.plan().health_checks[&32000].service.name.to_string();
    assert_eq!(owner(&planner), "old");
    let [problem] = planner.problems() else { panic!("{:?}", planner.problems()) };
    let told = "Service shop/young: spec.healthCheckNodePort: 32000 belongs to Service shop/old, \
                which is older";
    assert!(problem.to_string().starts_with(told), "{problem}");
    planner.change([Change::SetService(checked("old", 1, 32001))]);
    assert_eq!((owner(&planner).as_str(), planner.problems()), ("young", &[][..]));
    assert_eq!(planner.plan().health_checks.len(), 2);
    let before = Arc::clone(&planner.plan().health_checks);
    planner.change([Change::SetService(service("mail", &["10.0.0.1"]))]);
    assert!(Arc::ptr_eq(&before, &planner.plan().health_checks), "nothing to look at");
}

/// A Service with an address of each kind, whose load balancer is for some callers only.
fn ranged(ranges: &[&str]) -> Plan {
    let mut cart = service("cart", &["10.0.0.1"]);
    for (text, kind) in [
        ("198.51.100.1", AddressKind::External),
        ("203.0.113.1", AddressKind::LoadBalancer),
        ("2001:db8::1", AddressKind::LoadBalancer),
    ] {
        cart.addresses.push(Address { ip: ip(text), kind });
    }
    let ranges: Vec<IpNet> = ranges.iter().map(|text| text.parse().unwrap()).collect();
    cart.source_ranges = Some(ranges.into());
    let changes = [
        Change::Node(Node::default()),
        Change::SetService(cart),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1"])),
    ];
    compile(&snapshot(&changes), &Options::default())
}

#[test]
fn load_balancer_source_ranges_say_who_may_call() {
    let sources = |ranges: &[&str]| {
        let plan = ranged(ranges);
        assert_eq!((plan.frontends.len(), plan.problems.len()), (4, 0));
        let listener = Listener::Port(80, Protocol::Tcp);
        ["10.0.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"].map(|text| {
            let sources = &plan.frontends[&FrontendKey { ip: ip(text), listener }].sources;
            sources.as_ref().map(|s| s.iter().map(ToString::to_string).collect::<Vec<_>>())
        })
    };
    let some = |ranges: &[&str]| Some(ranges.iter().map(ToString::to_string).collect::<Vec<_>>());
    let [cluster, external, four, six] = sources(&["192.0.2.0/24", "fd00::/8"]);
    assert_eq!((cluster, external), (None, None));
    assert_eq!((four, six), (some(&["192.0.2.0/24"]), some(&["fd00::/8"])));
    // Nobody of a family that no range is of, everyone of one that a range is all of.
    let [_, _, four, six] = sources(&["0.0.0.0/0"]);
    assert_eq!((four, six), (None, some(&[])));
}
