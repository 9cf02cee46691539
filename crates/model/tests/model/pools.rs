//! Which endpoints become members.

use etm_abi::MAX_MEMBERS;
use etm_model::{
    Change, Delta, Endpoint, Limits, Options, Planner, Pool, Protocol, SlicePort, compile,
};

use crate::{
    cluster::{endpoint, ip, port, service, slice, snapshot},
    kernel::Kernel,
};

/// The one pool that a Service "cart" gets from slices.
fn pool(slices: impl IntoIterator<Item = etm_model::EndpointSlice>) -> Pool {
    let mut changes = vec![Change::SetService(service("cart", &["10.0.0.1"]))];
    changes.extend(slices.into_iter().map(Change::SetSlice));
    let plan = compile(&snapshot(&changes), &Options::default());
    assert_eq!(plan.frontends.len(), 1);
    plan.frontends.into_values().next().unwrap().pool
}

fn hosts(pool: &Pool) -> Vec<String> {
    pool.iter().map(|member| member.backend.ip.to_string()).collect()
}

fn draining(address: &str) -> Endpoint {
    Endpoint { ready: false, serving: true, terminating: true, ..endpoint(ip(address)) }
}

fn out(address: &str) -> Endpoint {
    Endpoint { ready: false, serving: true, terminating: false, ..endpoint(ip(address)) }
}

#[test]
fn slices_are_joined_and_duplicates_dropped() {
    let one = slice("cart", "one", &["10.1.0.3", "10.1.0.1"]);
    let two = slice("cart", "two", &["10.1.0.2", "10.1.0.1"]);
    assert_eq!(hosts(&pool([one, two])), ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
}

#[test]
fn draining_endpoints_serve_only_where_none_is_ready() {
    let mut one = slice("cart", "one", &["10.1.0.1"]);
    one.endpoints.extend([draining("10.1.0.2"), out("10.1.0.3")]);
    assert_eq!(hosts(&pool([one.clone()])), ["10.1.0.1"]);
    one.endpoints.remove(0);
    assert_eq!(hosts(&pool([one.clone()])), ["10.1.0.2"]);
    one.endpoints.remove(0);
    assert_eq!(hosts(&pool([one])), [] as [&str; 0]);
}

#[test]
fn of_two_mentions_the_more_usable_counts() {
    let mut one = slice("cart", "one", &[]);
    one.endpoints = vec![draining("10.1.0.1"), out("10.1.0.2")];
    let two = slice("cart", "two", &["10.1.0.1"]);
    assert_eq!(hosts(&pool([one, two])), ["10.1.0.1"]);
}

#[test]
fn ports_are_joined_by_name_and_protocol() {
    let mut one = slice("cart", "one", &["10.1.0.1"]);
    one.ports[0].protocol = Protocol::Udp;
    assert!(pool([one.clone()]).is_empty());
    one.ports[0] = SlicePort { name: "other".into(), protocol: Protocol::Tcp, port: 8080 };
    assert!(pool([one]).is_empty());
}

#[test]
fn families_do_not_mix() {
    let six = slice("cart", "six", &["fd01::1"]);
    assert!(pool([six]).is_empty());
    let mut wrong = slice("cart", "wrong", &["10.1.0.1"]);
    wrong.endpoints.push(endpoint(ip("fd01::1")));
    assert_eq!(hosts(&pool([wrong])), ["10.1.0.1"]);
}

#[test]
fn too_many_members_are_told_and_the_frontend_left_as_it_is() {
    let mut planner = Planner::new(Options::default());
    let mut kernel = Kernel::new(Limits { frontends: 4, backends: 8, slots: 8, routes: 256 });
    let few = slice("cart", "one", &["10.1.0.1"]);
    let cart = service("cart", &["10.0.0.1"]);
    kernel.apply(&planner.change([Change::SetService(cart), Change::SetSlice(few.clone())]));
    let before = kernel.maps.frontends.clone();

    let mut many = few.clone();
    many.endpoints = (0..=MAX_MEMBERS)
        .map(|host| endpoint(std::net::Ipv4Addr::from_bits(0x0a01_0000 + host).into()))
        .collect();
    let delta = planner.change([Change::SetSlice(many.clone())]);
    assert_eq!(delta, Delta { hold: before.keys().copied().collect(), ..Delta::default() });
    let [problem] = planner.problems() else { panic!("{:?}", planner.problems()) };
    let text = problem.to_string();
    for part in ["shop/cart", "spec.ports[0]", "80", "65536", "65535", "several Services"] {
        assert!(text.contains(part), "{text}");
    }
    kernel.apply(&delta);
    assert_eq!(kernel.maps.frontends, before);

    assert!(planner.change([Change::SetSlice(many.clone())]).is_empty());
    many.endpoints.pop();
    let delta = planner.change([Change::SetSlice(many)]);
    assert_eq!(delta.set.len(), 1);
    assert_eq!(planner.problems(), []);
    let delta = planner.change([Change::SetSlice(few)]);
    kernel.apply(&delta);
    kernel.holds(planner.plan());
}

#[test]
fn a_held_frontend_goes_with_its_service() {
    let mut planner = Planner::new(Options::default());
    let mut many = slice("cart", "one", &["10.1.0.1"]);
    many.endpoints = (0..=MAX_MEMBERS)
        .map(|host| endpoint(std::net::Ipv4Addr::from_bits(0x0a01_0000 + host).into()))
        .collect();
    let cart = service("cart", &["10.0.0.1"]);
    planner.change([Change::SetService(cart.clone()), Change::SetSlice(many)]);
    assert_eq!(planner.plan().held.len(), 1);
    let delta = planner.change([Change::RemoveService(cart.name)]);
    assert_eq!(delta.remove.len(), 1);
    assert!(planner.plan().held.is_empty() && planner.problems().is_empty());
}

#[test]
fn sctp_is_told_and_left_alone() {
    let mut cart = service("cart", &["10.0.0.1"]);
    cart.ports.push(port("s", Protocol::Sctp, 90, None));
    let plan = compile(&snapshot(&[Change::SetService(cart)]), &Options::default());
    assert_eq!(plan.frontends.len(), 1);
    assert_eq!(plan.problems[0].field, "spec.ports[1].protocol");
    assert!(plan.problems[0].reason.contains("passes no BPF hook"));
}
