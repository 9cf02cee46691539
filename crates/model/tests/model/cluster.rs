//! Small clusters in which everything collides with everything.

use std::{net::IpAddr, sync::Arc};

use etm_model::{
    Address, AddressKind, Affinity, Algorithm, Change, Endpoint, EndpointSlice, Family, HashField,
    HashFields, HealthPolicy, LoadBalancing, Locality, Node, ObjectName, Passive, Policy, Protocol,
    Refusal, Service, ServicePort, SlicePort, Snapshot, Stale, StaleConnections, TrafficPolicy,
    Weight,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::routing;

pub(crate) fn name(name: &str) -> ObjectName {
    ObjectName::new("shop", name)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A Service with one TCP port "http" on 80.
pub(crate) fn service(service: &str, cluster: &[&str]) -> Service {
    let address = |text: &&str| Address { ip: ip(text), kind: AddressKind::Cluster };
    Service {
        name: name(service),
        created: Some(1),
        addresses: cluster.iter().map(address).collect(),
        ports: vec![port("http", Protocol::Tcp, 80, None)],
        internal_policy: TrafficPolicy::Cluster,
        external_policy: TrafficPolicy::Cluster,
        health_check_port: None,
        source_ranges: None,
        affinity: None,
        publish_not_ready: false,
        selector: None,
    }
}

pub(crate) fn port(
    name: &str,
    protocol: Protocol,
    port: u16,
    node_port: Option<u16>,
) -> ServicePort {
    ServicePort { name: name.into(), protocol, port, node_port }
}

/// A slice with one TCP port "http" on 8080, its endpoints ready.
pub(crate) fn slice(service: &str, slice: &str, endpoints: &[&str]) -> EndpointSlice {
    EndpointSlice {
        name: name(slice),
        service: service.into(),
        family: Family::of(ip(endpoints.first().unwrap_or(&"10.1.0.0"))),
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: endpoints.iter().map(|text| endpoint(ip(text))).collect(),
    }
}

/// A ready endpoint with a Pod.
pub(crate) fn endpoint(address: IpAddr) -> Endpoint {
    Endpoint {
        address,
        ready: true,
        serving: true,
        terminating: false,
        pod: pod(address),
        locality: None,
    }
}

/// The node that plans are made for.
pub(crate) fn this_node(addresses: &[&str]) -> Node {
    let addresses = addresses.iter().map(|text| ip(text)).collect();
    Node { name: "here".into(), zone: Some("east".into()), addresses, deleting: false }
}

/// A ready endpoint on a node.
pub(crate) fn endpoint_on(node: &str, address: &str) -> Endpoint {
    let locality = Locality { node: Some(node.into()), ..Locality::default() };
    Endpoint { locality: Some(Arc::new(locality)), ..endpoint(ip(address)) }
}

fn pod(address: IpAddr) -> Option<ObjectName> {
    Some(name(&format!("pod-{address}")))
}

pub(crate) fn snapshot<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for change in changes {
        snapshot.change(change.clone());
    }
    snapshot
}

/// Any change of a small cluster.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => any_node().prop_map(Change::Node),
        6 => any_service().prop_map(Change::SetService),
        2 => service_name().prop_map(|service| Change::RemoveService(name(service))),
        12 => any_slice().prop_map(Change::SetSlice),
        2 => any_slice().prop_map(|slice| Change::SetSlice(abroad(slice))),
        3 => (service_name(), slice_name()).prop_map(|(service, slice)| {
            Change::RemoveSlice(name(service), slice.into())
        }),
        6 => any_policy().prop_map(Change::SetPolicy),
        2 => (service_name(), policy_name()).prop_map(|(service, policy)| {
            Change::RemovePolicy(name(service), policy.into())
        }),
        3 => (1..8_u8, option::of(weight())).prop_map(|(host, weight)| {
            let pod = name(&format!("pod-{}", IpAddr::from([10, 1, 0, host])));
            Change::SetPodWeight(pod, weight)
        }),
        14 => routing::change(),
    ]
}

/// Changes that arrive together.
pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 1..8)
}

/// The slice of a headless Service in another namespace.
fn abroad(slice: EndpointSlice) -> EndpointSlice {
    let name = ObjectName { namespace: "depot".into(), ..slice.name };
    EndpointSlice { name, service: "stock".into(), ..slice }
}

fn service_name() -> impl Strategy<Value = &'static str> {
    select(&["cart", "mail", "stock", "web"][..])
}

fn policy_name() -> impl Strategy<Value = &'static str> {
    select(&["calm", "fair", "sticky"][..])
}

fn weight() -> impl Strategy<Value = Weight> {
    (1..4_u16).prop_map(|weight| Weight::new(weight).unwrap())
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let fields = vec(select(&HashField::ALL[..]), 1..3);
    let algorithm = prop_oneof![
        Just(Algorithm::Random),
        Just(Algorithm::LeastConnections),
        fields.prop_map(|fields| Algorithm::ConsistentHash(HashFields::new(fields).unwrap())),
    ];
    let weights = vec((service_name().prop_map(Into::into), weight()), 0..3);
    let load_balancing = (algorithm, weights, any::<bool>());
    let health = (1..3_u8).prop_map(|failures| HealthPolicy {
        passive: Some(Passive { consecutive_failures: failures, ..Passive::default() }),
        ..HealthPolicy::default()
    });
    let stale = select(&[Stale::Keep, Stale::End][..]);
    let stale = (stale.clone(), stale).prop_map(|(tcp, udp)| StaleConnections { tcp, udp });
    let outcomes = (option::of(health), select(&Refusal::ALL[..]), stale);
    let target = (service_name(), option::of(select(&["http", "dns"][..])));
    (policy_name(), option::of(0..3_i64), target, load_balancing, outcomes).prop_map(
        |(policy, created, (service, port), load_balancing, (health, refusal, stale))| {
            let (algorithm, service_weights, pod_weights) = load_balancing;
            Policy {
                name: name(policy),
                created,
                service: service.into(),
                port: port.map(Into::into),
                load_balancing: LoadBalancing { algorithm, service_weights, pod_weights },
                health: health.map(Into::into),
                refusal,
                stale,
                monitors: Arc::default(),
                ejected: Arc::default(),
            }
        },
    )
}

fn slice_name() -> impl Strategy<Value = &'static str> {
    select(&["one", "two"][..])
}

fn port_name() -> impl Strategy<Value = &'static str> {
    select(&["", "http", "dns"][..])
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![5 => Just(Protocol::Tcp), 4 => Just(Protocol::Udp), 1 => Just(Protocol::Sctp)]
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    const TEXTS: [&str; 6] =
        ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "127.0.0.1"];
    select(&TEXTS[..]).prop_map(ip)
}

fn any_service() -> impl Strategy<Value = Service> {
    let kind =
        select(&[AddressKind::Cluster, AddressKind::External, AddressKind::LoadBalancer][..]);
    let address = (addresses(), kind).prop_map(|(ip, kind)| Address { ip, kind });
    let port = (port_name(), protocol(), 80..82_u16, option::weighted(0.3, 80..83_u16))
        .prop_map(|(name, protocol, number, node_port)| port(name, protocol, number, node_port));
    let ranges = select(&["10.0.0.0/8", "10.1.0.0/16", "fd00::/8", "::/0"][..]);
    let ranges = vec(ranges.prop_map(|text| text.parse().unwrap()), 0..3);
    let affinity = option::weighted(0.2, (1..3_u32).prop_map(|s| Affinity::new(s).unwrap()));
    (
        (service_name(), option::of(0..3_i64), vec(address, 0..3), vec(port, 0..4)),
        (policy(), policy(), option::weighted(0.3, 90..92_u16), option::weighted(0.2, ranges)),
        (affinity, any::<bool>(), option::weighted(0.3, routing::labels())),
    )
        .prop_map(|((service, created, addresses, ports), traffic, rest)| {
            let (affinity, publish_not_ready, selector) = rest;
            let (internal_policy, external_policy, health_check_port, ranges) = traffic;
            Service {
                name: name(service),
                created,
                addresses,
                ports,
                internal_policy,
                external_policy,
                health_check_port,
                source_ranges: ranges.map(Into::into),
                affinity,
                publish_not_ready,
                selector: selector.map(|labels| labels.into_iter().collect()),
            }
        })
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    prop_oneof![2 => Just(TrafficPolicy::Cluster), 1 => Just(TrafficPolicy::Local)]
}

fn any_node() -> impl Strategy<Value = Node> {
    let zone = option::of(select(&["east", "west"][..]));
    (select(&["here", "there"][..]), zone, vec(addresses(), 0..3), any::<bool>()).prop_map(
        |(name, zone, addresses, deleting)| Node {
            name: name.into(),
            zone: zone.map(Into::into),
            addresses,
            deleting,
        },
    )
}

fn any_locality() -> impl Strategy<Value = Option<Arc<Locality>>> {
    fn text(texts: &'static [&'static str]) -> impl Strategy<Value = Box<str>> {
        select(texts).prop_map(Into::into)
    }
    let (nodes, zones) = (&["here", "there"][..], &["east", "west"][..]);
    let locality = (
        option::of(text(nodes)),
        option::of(text(zones)),
        vec(text(nodes), 0..3),
        vec(text(zones), 0..3),
    );
    let locality = locality.prop_map(|(node, zone, for_nodes, for_zones)| {
        let (for_nodes, for_zones) = (for_nodes.into(), for_zones.into());
        Arc::new(Locality { node, zone, for_nodes, for_zones })
    });
    option::weighted(0.8, locality)
}

fn any_slice() -> impl Strategy<Value = EndpointSlice> {
    let port = (port_name(), protocol(), 8080..8082_u16)
        .prop_map(|(name, protocol, port)| SlicePort { name: name.into(), protocol, port });
    let endpoint = (1..8_u8, any::<(bool, bool, bool, bool)>(), any_locality());
    (
        (service_name(), slice_name()),
        select(&[Family::V4, Family::V6][..]),
        vec(port, 0..4),
        vec(endpoint, 0..6),
    )
        .prop_map(|((service, slice), family, ports, endpoints)| EndpointSlice {
            name: name(slice),
            service: service.into(),
            family,
            ports,
            endpoints: endpoints
                .into_iter()
                .map(|(host, (ready, serving, terminating, named), locality)| {
                    let address = match family {
                        Family::V4 => IpAddr::from([10, 1, 0, host]),
                        Family::V6 => IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, u16::from(host)]),
                    };
                    let pod = pod(address).filter(|_| named);
                    Endpoint { address, ready, serving, terminating, pod, locality }
                })
                .collect(),
        })
}
