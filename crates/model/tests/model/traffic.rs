//! Which endpoints each address of a Service chooses from, by the field that says so.

use std::sync::Arc;

use etm_model::{
    Address, AddressKind, Change, Endpoint, FrontendKey, Listener, Locality, Node, Options, Plan,
    Planner, Pool, Protocol, Service,
    TrafficPolicy::{self, Cluster, Local},
    compile,
};

use crate::cluster::{endpoint, endpoint_on, ip, service, slice, snapshot, this_node};

const NODE_PORT: u16 = 30080;
const CLUSTER: (&str, u16) = ("10.0.0.1", 80);
const EXTERNAL: (&str, u16) = ("198.51.100.1", 80);
const BALANCED: (&str, u16) = ("203.0.113.1", 80);
const NODE: (&str, u16) = ("192.0.2.1", NODE_PORT);
const LOOPBACK: (&str, u16) = ("127.0.0.1", NODE_PORT);
const ALL: [(&str, u16); 5] = [CLUSTER, EXTERNAL, BALANCED, NODE, LOOPBACK];

/// A Service with an address of every kind and a node port.
fn cart(internal_policy: TrafficPolicy, external_policy: TrafficPolicy) -> Service {
    let mut cart = service("cart", &[CLUSTER.0]);
    for (text, kind) in
        [(EXTERNAL.0, AddressKind::External), (BALANCED.0, AddressKind::LoadBalancer)]
    {
        cart.addresses.push(Address { ip: ip(text), kind });
    }
    cart.ports[0].node_port = Some(NODE_PORT);
    Service { internal_policy, external_policy, ..cart }
}

fn plan_on(node: Node, service: Service, endpoints: Vec<Endpoint>) -> Plan {
    let slice = etm_model::EndpointSlice { endpoints, ..slice("cart", "one", &[]) };
    let changes = [Change::Node(node), Change::SetSlice(slice), Change::SetService(service)];
    compile(&snapshot(&changes), &Options::default())
}

fn plan(service: Service, endpoints: Vec<Endpoint>) -> Plan {
    plan_on(this_node(&[NODE.0]), service, endpoints)
}

fn pool<'a>(plan: &'a Plan, (address, port): (&str, u16)) -> &'a Pool {
    let listener = Listener::Port(port, Protocol::Tcp);
    &plan.frontends[&FrontendKey { ip: ip(address), listener }].pool
}

/// Last numbers of the members' addresses.
fn hosts(plan: &Plan, place: (&str, u16)) -> Vec<String> {
    let ips = pool(plan, place).iter().map(|member| member.backend.ip.to_string());
    ips.map(|ip| ip.rsplit('.').next().unwrap().to_owned()).collect()
}

fn near_and_far() -> Vec<Endpoint> {
    vec![endpoint_on("here", "10.1.0.1"), endpoint_on("there", "10.1.0.2")]
}

fn draining(endpoint: Endpoint) -> Endpoint {
    Endpoint { ready: false, serving: true, terminating: true, ..endpoint }
}

#[test]
fn internal_traffic_policy_local_keeps_cluster_addresses_on_the_node() {
    let plan = plan(cart(Local, Cluster), near_and_far());
    assert_eq!(hosts(&plan, CLUSTER), ["1"]);
    for place in [EXTERNAL, BALANCED, NODE, LOOPBACK] {
        assert_eq!(hosts(&plan, place), ["1", "2"], "{place:?}");
    }
}

#[test]
fn internal_traffic_policy_local_refuses_without_a_local_endpoint() {
    let plan = plan(cart(Local, Cluster), vec![endpoint_on("there", "10.1.0.2")]);
    assert!(pool(&plan, CLUSTER).is_empty());
    assert_eq!(hosts(&plan, NODE), ["2"]);
    let elsewhere: Vec<_> = plan.frontends.iter().filter(|(_, f)| f.elsewhere).collect();
    assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
    assert_eq!(elsewhere[0].0.ip, ip(CLUSTER.0));
}

#[test]
fn without_any_endpoint_a_policy_local_is_not_why_it_refuses() {
    let plan = plan(cart(Local, Local), vec![]);
    assert!(plan.frontends.values().all(|frontend| frontend.pool.is_empty()));
    assert!(!plan.frontends.values().any(|frontend| frontend.elsewhere));
}

#[test]
fn external_traffic_policy_local_keeps_node_ports_on_the_node() {
    let plan = plan(cart(Cluster, Local), near_and_far());
    for place in [NODE, LOOPBACK] {
        assert_eq!(hosts(&plan, place), ["1"], "{place:?}");
    }
    // Callers inside of the cluster always get Cluster semantics there.
    for place in [CLUSTER, EXTERNAL, BALANCED] {
        assert_eq!(hosts(&plan, place), ["1", "2"], "{place:?}");
    }
}

#[test]
fn external_traffic_policy_local_refuses_without_a_local_endpoint() {
    let plan = plan(cart(Cluster, Local), vec![endpoint_on("there", "10.1.0.2")]);
    for place in [NODE, LOOPBACK] {
        assert!(pool(&plan, place).is_empty(), "{place:?}");
    }
    assert_eq!(hosts(&plan, EXTERNAL), ["2"]);
}

#[test]
fn node_name_absent_is_on_no_node() {
    for node in [this_node(&[]), Node::default()] {
        let plan = plan_on(node, cart(Local, Local), vec![endpoint(ip("10.1.0.1"))]);
        assert!(pool(&plan, CLUSTER).is_empty() && pool(&plan, LOOPBACK).is_empty());
        assert_eq!(hosts(&plan, EXTERNAL), ["1"]);
    }
}

#[test]
fn conditions_terminating_fall_back_for_each_policy_by_itself() {
    let endpoints = vec![
        draining(endpoint_on("here", "10.1.0.1")),
        endpoint_on("there", "10.1.0.2"),
        draining(endpoint_on("there", "10.1.0.3")),
    ];
    let mixed = plan(cart(Local, Local), endpoints.clone());
    for place in [CLUSTER, NODE, LOOPBACK] {
        assert_eq!(hosts(&mixed, place), ["1"], "none is ready here: {place:?}");
    }
    for place in [EXTERNAL, BALANCED] {
        assert_eq!(hosts(&mixed, place), ["2"], "one is ready elsewhere: {place:?}");
    }
    let ending = plan(cart(Cluster, Local), endpoints.into_iter().map(draining).collect());
    assert_eq!(hosts(&ending, CLUSTER), ["1", "2", "3"]);
    assert_eq!(hosts(&ending, NODE), ["1"]);
}

#[test]
fn conditions_serving_false_is_no_fallback() {
    let gone = Endpoint { serving: false, ..draining(endpoint_on("here", "10.1.0.1")) };
    let plan = plan(cart(Cluster, Local), vec![gone]);
    assert!(ALL.into_iter().all(|place| pool(&plan, place).is_empty()));
}

fn hinted(host: u8, for_nodes: &[&str], for_zones: &[&str]) -> Endpoint {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
    let locality = Locality {
        for_nodes: texts(for_nodes),
        for_zones: texts(for_zones),
        ..Locality::default()
    };
    let locality = Some(Arc::new(locality));
    Endpoint { locality, ..endpoint([10, 1, 0, host].into()) }
}

/// Who is chosen from on node "here" of zone "east", or of another zone.
fn chosen(zone: Option<&str>, endpoints: &[Endpoint]) -> Vec<String> {
    let node = Node { zone: zone.map(Into::into), ..this_node(&[]) };
    hosts(&plan_on(node, cart(Cluster, Cluster), endpoints.to_vec()), CLUSTER)
}

#[test]
fn hints_for_zones() {
    let both = [hinted(1, &[], &["east"]), hinted(2, &[], &["west", "north"])];
    assert_eq!(chosen(Some("east"), &both), ["1"]);
    assert_eq!(chosen(Some("north"), &both), ["2"]);
    assert_eq!(chosen(Some("south"), &both), ["1", "2"], "none is for this zone");
    assert_eq!(chosen(None, &both), ["1", "2"], "this node's zone is not known");
    let half = [both.as_slice(), &[hinted(3, &[], &[])]].concat();
    assert_eq!(chosen(Some("east"), &half), ["1", "2", "3"], "one has no hint");
}

#[test]
fn hints_for_nodes_come_before_those_for_zones() {
    let all = ["east", "east", "west"];
    let nodes = ["there", "here", "elsewhere"];
    let endpoints: Vec<_> =
        (1..).zip(nodes.iter().zip(all)).map(|(i, (n, z))| hinted(i, &[n], &[z])).collect();
    assert_eq!(chosen(Some("east"), &endpoints), ["2"]);
    let others = [endpoints[0].clone(), endpoints[2].clone()];
    assert_eq!(chosen(Some("east"), &others), ["1"], "none is for this node: by zones");
    let half = [endpoints.as_slice(), &[hinted(4, &[], &["east"])]].concat();
    assert_eq!(chosen(Some("east"), &half), ["1", "2", "4"], "one has none for nodes: by zones");
}

#[test]
fn hints_of_endpoints_that_are_not_ready_do_not_count() {
    let mut endpoints = vec![hinted(1, &[], &["east"]), hinted(2, &[], &["west"])];
    endpoints.push(draining(hinted(3, &[], &[])));
    assert_eq!(chosen(Some("east"), &endpoints), ["1"]);
    // Where nothing is ready, whoever still serves is needed.
    endpoints.pop();
    let ending: Vec<_> = endpoints.into_iter().map(draining).collect();
    assert_eq!(chosen(Some("east"), &ending), ["1", "2"]);
}

#[test]
fn hints_say_nothing_about_local_endpoints() {
    let locality = Locality {
        node: Some("here".into()),
        for_zones: ["west".into()].into(),
        ..Locality::default()
    };
    let near = Endpoint { locality: Some(Arc::new(locality)), ..endpoint(ip("10.1.0.1")) };
    let endpoints = vec![near, hinted(2, &[], &["east"])];
    let plan = plan(cart(Cluster, Local), endpoints);
    assert_eq!(hosts(&plan, CLUSTER), ["2"]);
    assert_eq!(hosts(&plan, NODE), ["1"]);
}

#[test]
fn one_set_of_members_is_one_pool() {
    let same = |plan: &Plan, places: &[(&str, u16)]| {
        places.iter().all(|place| Arc::ptr_eq(pool(plan, *place), pool(plan, places[0])))
    };
    assert!(same(&plan(cart(Cluster, Cluster), near_and_far()), &ALL));
    let mixed = plan(cart(Local, Local), near_and_far());
    assert!(same(&mixed, &[CLUSTER, NODE, LOOPBACK]) && same(&mixed, &[EXTERNAL, BALANCED]));
    // Where all endpoints are on this node, the policies mean the same.
    assert!(same(&plan(cart(Local, Cluster), near_and_far()[..1].to_vec()), &ALL));
}

#[test]
fn node_deleting_leaves_the_frontends() {
    let mut planner = Planner::new(Options::default());
    planner.change([
        Change::Node(this_node(&[NODE.0])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1"])),
        Change::SetService(cart(Cluster, Cluster)),
    ]);
    let going = Node { deleting: true, ..this_node(&[NODE.0]) };
    assert!(planner.change([Change::Node(going.clone())]).is_empty());
    assert!(planner.snapshot().node.deleting);
    let moved = Node { zone: Some("west".into()), ..going };
    planner.change([Change::Node(moved)]);
    assert_eq!(planner.plan(), &compile(planner.snapshot(), &Options::default()));
}
