//! Any routes, grants, callers and labels of a small cluster.

use std::sync::Arc;

use etm_model::{
    Action, CallerPod, CallerSelector, CallerShare, Change, Destination, DestinationRef,
    LabelSelector, Labels, ObjectName, Operator, Protocol, ReferenceGrant, Requirement, Route,
    RouteKind, RouteOwner, RoutePort, Rule,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::cluster::name;

const KINDS: [RouteKind; 6] = [
    RouteKind::TrafficRoute,
    RouteKind::Release,
    RouteKind::GrpcRoute,
    RouteKind::HttpRoute,
    RouteKind::TcpRoute,
    RouteKind::UdpRoute,
];

/// A change of what routes are made from.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (owner(), option::of(0..3_i64), vec(any_route(), 0..3)).prop_map(
            |(owner, created, routes)| {
                let routes = routes.into_iter().map(|route| owned(route, &owner, created));
                Change::SetRoutes(owner.clone(), routes.collect())
            }
        ),
        1 => any_grant().prop_map(Change::SetGrant),
        1 => grant_name().prop_map(Change::RemoveGrant),
        3 => (0..5_u16, option::weighted(0.8, any_caller()))
            .prop_map(|(number, caller)| Change::SetCaller(number, caller)),
        1 => (namespace(), option::of(labels()))
            .prop_map(|(namespace, labels)| Change::SetNamespace(namespace.into(), labels)),
        2 => (pod(), option::weighted(0.8, labels()))
            .prop_map(|(pod, labels)| Change::SetPodLabels(pod, labels)),
    ]
}

fn namespace() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("shop"), 1 => Just("depot")]
}

fn owner() -> impl Strategy<Value = RouteOwner> {
    (select(&KINDS[..]), namespace(), select(&["one", "two"][..])).prop_map(
        |(kind, namespace, name)| RouteOwner { kind, name: ObjectName::new(namespace, name) },
    )
}

fn owned(route: Route, owner: &RouteOwner, created: Option<i64>) -> Route {
    let abroad = owner.kind.is_gateway() && owner.name.namespace != route.target.namespace;
    Route {
        owner: owner.clone(),
        created,
        consumers: abroad.then(|| Arc::clone(&owner.name.namespace)),
        protocol: owner.kind.is_gateway().then_some(match owner.kind {
            RouteKind::UdpRoute => Protocol::Udp,
            _ => Protocol::Tcp,
        }),
        ..route
    }
}

fn any_route() -> impl Strategy<Value = Route> {
    let abandons = option::weighted(0.2, any_destination());
    (service_name(), route_port(), vec(any_rule(), 0..4), abandons).prop_map(
        |(target, port, rules, abandons)| Route {
            owner: RouteOwner { kind: RouteKind::TrafficRoute, name: name("one") },
            created: None,
            field: "spec.targetRef".into(),
            target: name(target),
            port,
            protocol: None,
            consumers: None,
            rules,
            abandons,
        },
    )
}

fn service_name() -> impl Strategy<Value = &'static str> {
    select(&["cart", "mail", "stock", "web"][..])
}

fn destination_name() -> impl Strategy<Value = ObjectName> {
    prop_oneof![
        6 => service_name().prop_map(name),
        1 => Just(ObjectName::new("depot", "stock")),
    ]
}

fn route_port() -> impl Strategy<Value = RoutePort> {
    prop_oneof![
        4 => Just(RoutePort::Every),
        1 => select(&["", "http", "dns"][..]).prop_map(|name| RoutePort::Name(name.into())),
        1 => (80..82_u16).prop_map(RoutePort::Number),
    ]
}

fn any_destination() -> impl Strategy<Value = Destination> {
    let to = prop_oneof![
        8 => (destination_name(), route_port())
            .prop_map(|(name, port)| DestinationRef::Service { name, port }),
        3 => selector().prop_map(DestinationRef::Subset),
        1 => Just(DestinationRef::Invalid("Bucket is not known".into())),
    ];
    (0..4_u32, to).prop_map(|(weight, to)| Destination {
        field: "spec.rules[0].to[0]".into(),
        weight,
        to,
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        1 => Just(Action::Deny),
        6 => vec(any_destination(), 0..3).prop_map(Action::Forward),
    ];
    let share = (0..10_001_u32, 0..2_u64).prop_map(|(parts, salt)| CallerShare { parts, salt });
    (vec(any_selector(), 0..3), option::weighted(0.3, share), action).prop_map(
        |(from, share, action)| Rule {
            name: Arc::default(),
            field: "spec.rules[0]".into(),
            from,
            share,
            action,
        },
    )
}

fn any_selector() -> impl Strategy<Value = CallerSelector> {
    fn texts(texts: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<Arc<str>>>> {
        option::weighted(0.2, vec(select(texts).prop_map(Into::into), 0..2))
    }
    let block = select(&["10.0.0.0/30", "fd00::/16"][..]).prop_map(|text| text.parse().unwrap());
    (
        texts(&["shop", "depot"]),
        option::weighted(0.2, selector()),
        option::weighted(0.3, selector()),
        texts(&["web", "batch"]),
        option::weighted(0.2, destination_name()),
        texts(&["here", "there"]),
        option::weighted(0.1, vec(block, 0..2)),
    )
        .prop_map(
            |(namespaces, namespace_labels, pod_labels, accounts, members_of, nodes, blocks)| {
                CallerSelector {
                    namespaces,
                    namespace_labels,
                    pod_labels,
                    service_accounts: accounts,
                    members_of,
                    nodes,
                    blocks,
                }
            },
        )
}

fn value() -> impl Strategy<Value = Arc<str>> {
    select(&["blue", "green"][..]).prop_map(Into::into)
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    let operator = prop_oneof![
        3 => vec(value(), 1..3).prop_map(Operator::In),
        1 => vec(value(), 1..3).prop_map(Operator::NotIn),
        1 => Just(Operator::Exists),
        1 => Just(Operator::DoesNotExist),
    ];
    let requirement = operator.prop_map(|operator| Requirement { key: "color".into(), operator });
    vec(requirement, 0..2).prop_map(|requirements| LabelSelector { requirements })
}

pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    option::of(value())
        .prop_map(|color| color.map(|color| ("color".into(), color)).into_iter().collect())
}

fn pod() -> impl Strategy<Value = ObjectName> {
    (1..8_u8).prop_map(|host| name(&format!("pod-10.1.0.{host}")))
}

fn any_caller() -> impl Strategy<Value = CallerPod> {
    let name = option::weighted(
        0.9,
        prop_oneof![
            3 => pod(),
            1 => Just(ObjectName::new("depot", "robot")),
        ],
    );
    (name, labels(), select(&["web", "batch"][..])).prop_map(|(name, labels, account)| CallerPod {
        name,
        labels,
        service_account: account.into(),
        addresses: Vec::new(),
    })
}

fn grant_name() -> impl Strategy<Value = ObjectName> {
    select(&["wide", "narrow"][..]).prop_map(|name| ObjectName::new("depot", name))
}

fn any_grant() -> impl Strategy<Value = ReferenceGrant> {
    let from = vec((select(&KINDS[..]), Just("shop".into())), 1..7);
    let services = option::of(vec(service_name().prop_map(Into::into), 1..3));
    (grant_name(), from, services).prop_map(|(name, from, services)| ReferenceGrant {
        name,
        from,
        services,
    })
}
