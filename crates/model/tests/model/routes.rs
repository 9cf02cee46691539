//! Routes: who gets what.

use std::{collections::BTreeSet, sync::Arc};

use etm_model::{
    Action, CALLER_NODE_NUMBER, CallerNumber, CallerPod, CallerSelector, CallerShare, Change,
    Destination, DestinationRef, LabelSelector, Labels, ObjectName, Operator, Options, Plan,
    PlannedRoute, Planner, ReferenceGrant, Requirement, Route, RouteClass, RouteKind, RouteOwner,
    RoutePart, RoutePort, Rule, Service, Snapshot, compile, hash, route_conditions,
};

use crate::cluster::{ip, name, service, slice, snapshot};

const WHOLE: Option<CallerShare> = None;

/// Services cart, cart-v2 and pay with a Pod each, and this node.
fn shop() -> Vec<Change> {
    let mut changes = vec![Change::Node(crate::cluster::this_node(&["192.0.2.1"]))];
    for (index, name) in ["cart", "cart-v2", "pay"].iter().enumerate() {
        changes.push(Change::SetService(service(name, &[&format!("10.0.0.{}", index + 1)])));
        changes.push(Change::SetSlice(slice(name, name, &[&format!("10.1.0.{}", index + 1)])));
    }
    changes
}

fn labels(text: &[(&str, &str)]) -> Labels {
    text.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    let operator = Operator::In(vec![value.into()]);
    LabelSelector { requirements: vec![Requirement { key: key.into(), operator }] }
}

fn caller(number: CallerNumber, namespace: &str, pod: &str, text: &[(&str, &str)]) -> Change {
    let pod = CallerPod {
        name: Some(ObjectName::new(namespace, pod)),
        labels: labels(text),
        service_account: "default".into(),
        addresses: Vec::new(),
    };
    Change::SetCaller(number, Some(pod))
}

fn to(service: &str, weight: u32) -> Destination {
    let to = DestinationRef::Service { name: name(service), port: RoutePort::Every };
    Destination { field: "spec.rules[0].to[0]".into(), weight, to }
}

fn rule(from: &[CallerSelector], share: Option<CallerShare>, to: &[Destination]) -> Rule {
    Rule {
        name: Arc::default(),
        field: "spec.rules[0]".into(),
        from: from.to_vec(),
        share,
        action: Action::Forward(to.to_vec()),
    }
}

fn deny(from: &[CallerSelector]) -> Rule {
    Rule { action: Action::Deny, ..rule(from, WHOLE, &[]) }
}

fn of(namespace: &str) -> CallerSelector {
    CallerSelector { namespaces: Some(vec![namespace.into()]), ..CallerSelector::default() }
}

fn route(kind: RouteKind, owner: ObjectName, created: i64, rules: &[Rule]) -> Route {
    Route {
        owner: RouteOwner { kind, name: owner },
        created: Some(created),
        field: "spec.targetRef".into(),
        target: name("cart"),
        port: RoutePort::Every,
        protocol: None,
        consumers: None,
        rules: rules.to_vec(),
        abandons: None,
    }
}

fn ours(owner: &str, created: i64, rules: &[Rule]) -> Route {
    route(RouteKind::TrafficRoute, name(owner), created, rules)
}

fn tcp(owner: &str, created: i64, rules: &[Rule]) -> Route {
    route(RouteKind::TcpRoute, name(owner), created, rules)
}

fn set(route: Route) -> Change {
    Change::SetRoutes(route.owner.clone(), vec![route])
}

fn plan(changes: &[Change]) -> Plan {
    compile(&snapshot(changes), &Options::default())
}

fn planned(changes: &[Change]) -> Option<Arc<PlannedRoute>> {
    let plan = plan(changes);
    let mut frontends = plan.frontends.iter();
    frontends.find(|(key, _)| key.ip == ip("10.0.0.1")).unwrap().1.route.clone()
}

/// What a caller gets: weights, and the last byte of each member's address.
fn got(route: Option<&PlannedRoute>, number: CallerNumber) -> Vec<(u32, Vec<u8>)> {
    let Some(route) = route else { return vec![(1, vec![1])] };
    let class = route.callers.get(&number).copied().unwrap_or_default();
    match &route.classes[usize::from(class)] {
        RouteClass::Denied => vec![(0, vec![])],
        RouteClass::Forward(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &RoutePart) -> (u32, Vec<u8>) {
    let last = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => panic!("{ip}"),
    };
    (part.weight, part.pool.iter().map(|member| last(member.backend.ip)).collect())
}

/// Of everyone who is not known.
fn all(changes: &[Change]) -> Vec<(u32, Vec<u8>)> {
    got(planned(changes).as_deref(), 0)
}

fn with(more: impl IntoIterator<Item = Change>) -> Vec<Change> {
    shop().into_iter().chain(more).collect()
}

fn reasons(changes: &[Change]) -> Vec<(&'static str, &'static str)> {
    let conditions = route_conditions(&snapshot(changes)).into_values().flatten();
    conditions.map(|c| (c.accepted.reason.name(), c.resolved_refs.reason.name())).collect()
}

fn told(changes: &[Change]) -> Vec<String> {
    plan(changes).problems.iter().map(ToString::to_string).collect()
}

const OWN: (&str, &str) = ("Accepted", "ResolvedRefs");

#[test]
fn without_a_route_there_is_nothing_to_ask() {
    assert_eq!(planned(&shop()), None);
    let same = ours("same", 1, &[rule(&[], WHOLE, &[to("cart", 5)])]);
    assert_eq!(planned(&with([set(same)])), None, "a route to the target itself says nothing");
}

#[test]
fn weights_divide_connections() {
    let route =
        ours("canary", 1, &[rule(&[], WHOLE, &[to("cart", 95), to("cart-v2", 5), to("pay", 0)])]);
    let changes = with([set(route), caller(2, "shop", "web", &[])]);
    let planned = planned(&changes).unwrap();
    assert_eq!(planned.classes.len(), 1);
    assert_eq!(got(Some(&planned), 2), [(95, vec![1]), (5, vec![2])]);
    let own = plan(&changes).frontends.into_values().next().unwrap();
    let RouteClass::Forward(parts) = &own.route.as_ref().unwrap().classes[0] else { panic!() };
    assert!(Arc::ptr_eq(&parts[0].pool, &own.pool), "the target's own pool is there once");
}

#[test]
fn the_first_rule_that_is_for_a_caller_counts() {
    let selects = |namespace: &str, label: &str| CallerSelector {
        pod_labels: Some(labelled("app", label)),
        ..of(namespace)
    };
    let rules = [
        rule(&[selects("shop", "web"), selects("mail", "web")], WHOLE, &[to("cart-v2", 1)]),
        deny(&[of("mail")]),
        rule(&[CallerSelector::default()], WHOLE, &[to("pay", 1)]),
    ];
    let changes = with([
        set(ours("rules", 1, &rules)),
        caller(2, "shop", "web", &[("app", "web")]),
        caller(3, "mail", "web", &[("app", "web")]),
        caller(4, "mail", "old", &[]),
        caller(5, "shop", "old", &[]),
        Change::SetCaller(6, Some(CallerPod::default())),
    ]);
    let route = planned(&changes);
    let got = |number| got(route.as_deref(), number);
    assert_eq!((got(2), got(3)), (vec![(1, vec![2])], vec![(1, vec![2])]));
    assert_eq!(got(4), [(0, vec![])]);
    assert_eq!((got(5), got(CALLER_NODE_NUMBER)), (vec![(1, vec![3])], vec![(1, vec![3])]));
    assert_eq!((got(0), got(6)), (vec![(1, vec![1])], vec![(1, vec![1])]), "not known");
    assert_eq!(route.unwrap().callers.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn every_way_to_select_is_asked() {
    let account = CallerSelector {
        service_accounts: Some(vec!["robot".into()]),
        ..CallerSelector::default()
    };
    let by_namespace = CallerSelector {
        namespace_labels: Some(labelled("team", "red")),
        ..CallerSelector::default()
    };
    let members = CallerSelector { members_of: Some(name("pay")), ..CallerSelector::default() };
    let here = CallerSelector { nodes: Some(vec!["here".into()]), ..CallerSelector::default() };
    let there = CallerSelector { nodes: Some(vec!["there".into()]), ..CallerSelector::default() };
    let blocks = CallerSelector {
        blocks: Some(vec!["192.0.2.0/24".parse().unwrap()]),
        ..CallerSelector::default()
    };
    let other =
        CallerSelector { blocks: Some(vec!["10.0.0.0/8".parse().unwrap()]), ..there.clone() };
    // The robot, red's only, the Pod of pay, one that is nothing of these, the node.
    let callers = [
        Change::SetCaller(
            2,
            Some(CallerPod {
                name: Some(ObjectName::new("shop", "two")),
                service_account: "robot".into(),
                ..CallerPod::default()
            }),
        ),
        caller(3, "red", "three", &[]),
        caller(4, "shop", "pod-10.1.0.3", &[]),
        caller(5, "shop", "five", &[]),
        Change::SetNamespace("red".into(), Some(labels(&[("team", "red")]))),
    ];
    for (from, selected) in [
        (account, vec![2]),
        (by_namespace, vec![3]),
        (members, vec![4]),
        (here, vec![1, 2, 3, 4, 5]),
        (there, vec![]),
        (blocks, vec![1]),
        (other, vec![]),
    ] {
        let route =
            ours("one", 1, &[rule(std::slice::from_ref(&from), WHOLE, &[to("cart-v2", 1)])]);
        let changes: Vec<_> = with(callers.iter().cloned().chain([set(route)]));
        let found = planned(&changes);
        let found: Vec<_> = found.iter().flat_map(|route| route.callers.keys().copied()).collect();
        assert_eq!(found, selected, "{from:?}");
    }
}

#[test]
fn a_larger_share_has_all_of_a_smaller_one() {
    let share = |parts, salt: &str| CallerShare { parts, salt: hash(salt) };
    let names: Vec<_> = (0..20_000).map(|at| format!("shop/web-{at}")).collect();
    let inside = |share: CallerShare| -> BTreeSet<_> {
        names.iter().filter(|name| share.has(name)).collect()
    };
    let (five, ten) = (inside(share(500, "shop/a")), inside(share(1_000, "shop/a")));
    assert!(five.is_subset(&ten));
    assert!((900..1_100).contains(&five.len()), "{}", five.len());
    assert!((1_850..2_150).contains(&ten.len()), "{}", ten.len());
    // With another salt others are chosen, as if it had nothing to do with the first.
    let other = inside(share(1_000, "shop/b"));
    let both = ten.intersection(&other).count();
    assert!((140..260).contains(&both), "{both}");
    assert!(inside(share(0, "shop/a")).is_empty());
    assert_eq!(inside(share(CallerShare::WHOLE, "shop/a")).len(), names.len());
}

#[test]
fn a_share_of_callers_is_of_those_whose_names_are_known() {
    let half = CallerShare { parts: 5_000, salt: 7 };
    let rules = |share| [rule(&[], share, &[to("cart-v2", 1)])];
    let callers = (2..202).map(|number| caller(number, "shop", &format!("web-{number}"), &[]));
    let changes = with(callers.chain([set(ours("half", 1, &rules(Some(half))))]));
    let route = planned(&changes).unwrap();
    let mut expected: BTreeSet<CallerNumber> =
        (2..202).filter(|number| half.has(&format!("shop/web-{number}"))).collect();
    assert!((70..130).contains(&expected.len()));
    if half.has("here") {
        expected.insert(CALLER_NODE_NUMBER);
    }
    assert_eq!(route.callers.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(got(Some(&route), 0), [(1, vec![1])]);
    let whole = Some(CallerShare { parts: CallerShare::WHOLE, salt: 7 });
    assert_eq!(all(&with([set(ours("all", 1, &rules(whole)))])), [(1, vec![2])]);
    let none = Some(CallerShare { parts: 0, salt: 7 });
    assert_eq!(planned(&with([set(ours("none", 1, &rules(none)))])), None);
}

#[test]
fn kinds_come_in_their_order_and_older_routes_first() {
    let leads = |kind, owner: &str, created, service| {
        set(route(kind, name(owner), created, &[rule(&[], WHOLE, &[to(service, 1)])]))
    };
    let mut changes = with([leads(RouteKind::TcpRoute, "a", 1, "cart-v2")]);
    assert_eq!(all(&changes), [(1, vec![2])]);
    changes.push(leads(RouteKind::HttpRoute, "a", 2, "pay"));
    assert_eq!(all(&changes), [(1, vec![3])]);
    changes.push(leads(RouteKind::GrpcRoute, "b", 3, "cart-v2"));
    assert_eq!(all(&changes), [(1, vec![2])]);
    changes.push(leads(RouteKind::GrpcRoute, "a", 3, "pay"));
    assert_eq!(all(&changes), [(1, vec![3])], "as old, and first by name");
    changes.push(leads(RouteKind::Release, "a", 4, "cart-v2"));
    assert_eq!(all(&changes), [(1, vec![2])]);
    changes.push(leads(RouteKind::TrafficRoute, "a", 6, "cart-v2"));
    changes.push(leads(RouteKind::TrafficRoute, "b", 5, "pay"));
    assert_eq!(all(&changes), [(1, vec![3])]);
    let conflicts = ("Conflicted", "ResolvedRefs");
    assert_eq!(
        reasons(&changes),
        [conflicts, OWN, conflicts, conflicts, conflicts, conflicts, conflicts]
    );
    let younger = "TrafficRoute shop/a: spec.targetRef: TrafficRoute shop/b, which is older, already \
                   says where all of its callers go (that one counts; delete one of the two, or let \
                   its rules select fewer callers)";
    assert!(told(&changes).contains(&younger.to_string()), "{:#?}", told(&changes));
}

#[test]
fn a_younger_route_that_is_not_wholly_hidden_counts_for_the_rest() {
    let first = ours("first", 1, &[rule(&[of("mail")], WHOLE, &[to("cart-v2", 1)])]);
    let second = ours(
        "second",
        2,
        &[rule(&[of("mail")], WHOLE, &[to("pay", 1)]), rule(&[], WHOLE, &[to("pay", 1)])],
    );
    let changes = with([set(first), set(second), caller(2, "mail", "a", &[])]);
    let route = planned(&changes);
    assert_eq!(got(route.as_deref(), 2), [(1, vec![2])]);
    assert_eq!(got(route.as_deref(), 0), [(1, vec![3])]);
    assert_eq!(reasons(&changes), [OWN, OWN]);
    assert_eq!(told(&changes), Vec::<String>::new());
}

#[test]
fn a_consumer_route_is_for_its_namespace_and_comes_first_there() {
    let producer = tcp("all", 1, &[rule(&[], WHOLE, &[to("pay", 1)])]);
    let abroad = Destination { weight: 1, ..to("cart-v2", 1) };
    let owner = ObjectName::new("mail", "mine");
    let consumer = Route {
        consumers: Some("mail".into()),
        ..route(RouteKind::TcpRoute, owner, 2, &[rule(&[], WHOLE, &[abroad])])
    };
    let grant = ReferenceGrant {
        name: name("open"),
        from: vec![(RouteKind::TcpRoute, "mail".into())],
        services: Some(vec!["cart-v2".into()]),
    };
    let changes = with([
        set(producer),
        set(consumer),
        Change::SetGrant(grant.clone()),
        caller(2, "mail", "a", &[]),
        caller(3, "shop", "a", &[]),
    ]);
    let route = planned(&changes);
    let got = |number| got(route.as_deref(), number);
    assert_eq!(
        (got(2), got(3), got(0)),
        (vec![(1, vec![2])], vec![(1, vec![3])], vec![(1, vec![3])])
    );
    assert_eq!(reasons(&changes), [OWN, OWN]);

    // Without the grant, the share is refused.
    let mut planner = Planner::new(Options::default());
    planner.change(changes);
    planner.change([Change::RemoveGrant(grant.name)]);
    let plan = planner.plan().frontends.values().find(|frontend| frontend.route.is_some());
    assert_eq!(self::got(plan.unwrap().route.as_deref(), 2), [(1, vec![])]);
    let conditions = route_conditions(planner.snapshot());
    let mut reasons = conditions.values().map(|told| told[0].resolved_refs.reason.name());
    assert_eq!(reasons.next(), Some("RefNotPermitted"));
}

#[test]
fn what_leads_nowhere_is_refused_by_the_gateway_api() {
    let unknown = Destination { to: DestinationRef::Invalid("Bucket".into()), ..to("cart", 1) };
    let rules = [rule(&[], WHOLE, &[to("cart", 7), to("gone", 2), unknown])];
    let mut changes = with([set(tcp("divided", 1, &rules))]);
    assert_eq!(all(&changes), [(7, vec![1]), (2, vec![]), (1, vec![])]);
    assert_eq!(reasons(&changes), [("Accepted", "BackendNotFound")]);
    assert_eq!(told(&changes).len(), 2);
    changes.push(Change::SetService(service("gone", &["10.0.0.9"])));
    assert_eq!(all(&changes), [(7, vec![1]), (2, vec![]), (1, vec![])]);
    assert_eq!(reasons(&changes), [("Accepted", "InvalidKind")]);
    assert_eq!(told(&changes).len(), 2, "no endpoints is still told");
    let zero = tcp("zero", 1, &[rule(&[], WHOLE, &[to("cart", 0)])]);
    assert_eq!(planned(&with([set(zero)])).unwrap().classes, [RouteClass::Forward(vec![])]);
}

#[test]
fn without_endpoints_traffic_stays_as_it_was() {
    let rules = [rule(&[], WHOLE, &[to("cart-v2", 1), to("pay", 1)])];
    let mut changes = with([set(ours("move", 1, &rules))]);
    let gone = |service| Change::RemoveSlice(name(service), service.into());
    changes.push(gone("pay"));
    assert_eq!(all(&changes), [(1, vec![2])], "its share goes to the other");
    assert_eq!(reasons(&changes), [("Accepted", "NoEndpoints")]);
    changes.push(gone("cart-v2"));
    assert_eq!(planned(&changes), None, "the rule is passed over");
    assert_eq!(told(&changes).len(), 2);
    changes.push(set(ours("young", 2, &[rule(&[], WHOLE, &[to("cart", 1)]), deny(&[])])));
    assert_eq!(
        reasons(&changes),
        [("Accepted", "NoEndpoints"), OWN],
        "what is passed over hides nothing"
    );
}

#[test]
fn a_route_that_names_what_is_not_there_does_not_count() {
    let one = |to: Destination| vec![deny(&[of("mail")]), rule(&[], WHOLE, &[to])];
    for (destination, reason) in [
        (to("gone", 1), "BackendNotFound"),
        (
            Destination { to: DestinationRef::Invalid("Bucket".into()), ..to("cart", 1) },
            "InvalidKind",
        ),
        (
            Destination {
                to: DestinationRef::Service {
                    name: ObjectName::new("mail", "post"),
                    port: RoutePort::Every,
                },
                ..to("cart", 1)
            },
            "RefNotPermitted",
        ),
        (to("cart-v2", 0), "Invalid"),
    ] {
        let changes = with([set(ours("bad", 1, &one(destination))), caller(2, "mail", "a", &[])]);
        assert_eq!(planned(&changes), None, "{reason}");
        assert_eq!(reasons(&changes)[0].0, reason);
        assert!(!told(&changes).is_empty());
    }
    let mut elsewhere = ours("elsewhere", 1, &[deny(&[])]);
    elsewhere.target = name("gone");
    assert_eq!(reasons(&with([set(elsewhere.clone())])), [("TargetNotFound", "ResolvedRefs")]);
    assert_eq!(told(&with([set(elsewhere.clone())])).len(), 1);
    elsewhere.target = name("cart");
    elsewhere.port = RoutePort::Name("dns".into());
    assert_eq!(reasons(&with([set(elsewhere)])), [("PortNotFound", "ResolvedRefs")]);
    let many: Vec<_> = (0..17).map(|_| to("cart-v2", 1)).collect();
    let changes = with([set(ours("many", 1, &[rule(&[], WHOLE, &many)]))]);
    assert_eq!((planned(&changes), reasons(&changes)[0].0), (None, "Invalid"));
}

#[test]
fn the_youngest_of_a_loop_does_not_count() {
    let leads = |owner: &str, created, target: &str, service: &str| {
        let mut route = ours(owner, created, &[rule(&[], WHOLE, &[to(service, 1)])]);
        route.target = name(target);
        route
    };
    let routes = [
        leads("a", 1, "cart", "cart-v2"),
        leads("b", 3, "cart-v2", "pay"),
        leads("c", 2, "pay", "cart"),
    ];
    let mut planner = Planner::new(Options::default());
    planner.change(shop());
    let reasons = |snapshot: &Snapshot| -> Vec<_> {
        let conditions = route_conditions(snapshot).into_values().flatten();
        conditions.map(|condition| condition.accepted.reason.name()).collect()
    };
    for route in routes.iter().rev() {
        planner.change([set(route.clone())]);
    }
    assert_eq!(reasons(planner.snapshot()), ["Accepted", "Loop", "Accepted"]);
    let routed = planner.plan().frontends.values().filter(|frontend| frontend.route.is_some());
    assert_eq!(routed.count(), 2);
    // The circle opens, and the one that was left out counts.
    planner.change([Change::SetRoutes(routes[0].owner.clone(), Vec::new())]);
    assert_eq!(reasons(planner.snapshot()), ["Accepted", "Accepted"]);
    let routed = planner.plan().frontends.values().filter(|frontend| frontend.route.is_some());
    assert_eq!(routed.count(), 2);
    assert_eq!(planner.problems(), []);
}

#[test]
fn a_headless_service_is_a_destination() {
    let mut headless = slice("new", "new", &["10.1.0.8"]);
    let rules = [rule(&[], WHOLE, &[to("new", 1)])];
    let changes = with([set(ours("one", 1, &rules)), Change::SetSlice(headless.clone())]);
    assert_eq!(all(&changes), [(1, vec![8])]);
    // By number where no port has the name: the one that the slice sends to.
    headless.ports[0].name = "web".into();
    headless.ports[0].port = 80;
    let changes = with([set(ours("one", 1, &rules)), Change::SetSlice(headless.clone())]);
    assert_eq!(all(&changes), [(1, vec![8])]);
    headless.ports[0].port = 81;
    let changes = with([set(ours("one", 1, &rules)), Change::SetSlice(headless)]);
    assert_eq!(planned(&changes), None);
    assert_eq!(reasons(&changes), [("Accepted", "PortNotFound")]);
}

#[test]
fn a_subset_has_the_pods_with_the_labels() {
    let subset = |version: &str, weight| Destination {
        to: DestinationRef::Subset(labelled("version", version)),
        ..to("cart", weight)
    };
    let rules = [rule(&[], WHOLE, &[subset("1", 9), subset("2", 1)])];
    let version = |pod: &str, version: &str| {
        Change::SetPodLabels(name(pod), Some(labels(&[("version", version)])))
    };
    let changes = with([
        Change::SetSlice(slice("cart", "cart", &["10.1.0.1", "10.1.0.4", "10.1.0.5"])),
        set(ours("one", 1, &rules)),
        version("pod-10.1.0.1", "1"),
        version("pod-10.1.0.4", "2"),
    ]);
    assert_eq!(all(&changes), [(9, vec![1]), (1, vec![4])], "the third one's labels are not known");
    let mut planner = Planner::new(Options::default());
    planner.change(changes);
    let delta = planner.change([version("pod-10.1.0.5", "2")]);
    let frontend = delta.set.values().next().unwrap();
    assert_eq!(got(frontend.route.as_deref(), 0), [(9, vec![1]), (1, vec![4, 5])]);
    assert!(planner.change([version("pod-10.1.0.3", "2")]).is_empty());
}

#[test]
fn a_destination_is_balanced_by_its_own_policy_else_by_the_targets() {
    let policy = |service: &str| {
        let policy = crate::policies::policy(service, service, 1);
        Change::SetPolicy(policy)
    };
    let rules = [rule(&[], WHOLE, &[to("cart-v2", 1), to("pay", 1)])];
    let base = with([set(ours("one", 1, &rules)), policy("pay")]);
    let salts = |changes: &[Change]| -> Vec<_> {
        let RouteClass::Forward(parts) = &planned(changes).unwrap().classes[0] else { panic!() };
        let balancing = parts.iter().map(|part| part.balancing.as_ref());
        balancing.map(|found| found.map(|balancing| balancing.salt)).collect()
    };
    assert_eq!(salts(&base), [None, Some(hash("shop/pay"))]);
    let both = [base, vec![policy("cart")]].concat();
    assert_eq!(salts(&both), [Some(hash("shop/cart")), Some(hash("shop/pay"))]);
}

#[test]
fn only_what_a_change_can_touch_is_planned_again() {
    let selects = CallerSelector { pod_labels: Some(labelled("app", "web")), ..of("shop") };
    let mut planner = Planner::new(Options::default());
    planner.change(shop());
    planner.change([set(ours("one", 1, &[rule(&[selects], WHOLE, &[to("cart-v2", 1)])]))]);
    let mut seen = planner.snapshot().clone();
    let mut touched = |change: Change| match seen.change(change) {
        etm_model::Affected::All => panic!("everything"),
        etm_model::Affected::Services(services) => {
            services.iter().map(|name| name.name.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(touched(caller(2, "shop", "batch", &[])), Vec::<String>::new());
    assert_eq!(touched(caller(2, "shop", "web", &[("app", "web")])), ["cart"]);
    assert_eq!(touched(caller(2, "shop", "other", &[("app", "web")])), Vec::<String>::new());
    assert_eq!(touched(Change::SetCaller(2, None)), ["cart"]);
    let moved = Change::SetSlice(slice("cart-v2", "cart-v2", &["10.1.0.9"]));
    assert_eq!(touched(moved), ["cart", "cart-v2"]);
    let other = Change::SetSlice(slice("pay", "pay", &["10.1.0.9"]));
    assert_eq!(touched(other), ["pay"]);
}

#[test]
fn at_most_256_classes_are_told_apart_and_the_last_route_is_left_out() {
    let to_share = |weight| vec![to("cart", weight), to("cart-v2", 1)];
    let many: Vec<_> =
        (0..255).map(|at| rule(&[of(&format!("n{at}"))], WHOLE, &to_share(at + 1))).collect();
    let callers: Vec<_> = (0..255).map(|at| caller(at + 2, &format!("n{at}"), "a", &[])).collect();
    let mut changes = with(callers.into_iter().chain([set(ours("many", 1, &many))]));
    assert_eq!(planned(&changes).unwrap().classes.len(), 256);
    changes.push(caller(300, "last", "a", &[]));
    changes.push(set(ours("more", 2, &[deny(&[of("last")])])));
    let route = planned(&changes);
    assert_eq!(route.as_ref().unwrap().classes.len(), 256);
    assert_eq!(got(route.as_deref(), 300), [(1, vec![1])]);
    assert_eq!(told(&changes).len(), 1, "{:?}", told(&changes));
}

#[test]
fn what_a_route_abandons_is_told_unless_somebody_is_led_there() {
    let left = |changes: &[Change]| -> Vec<Vec<u8>> {
        let plan = plan(changes);
        let hosts = plan.frontends.values().map(|frontend| {
            let left = frontend.abandoned.iter().flat_map(|left| left.iter());
            left.map(|backend| backend.ip.to_string().rsplit('.').next().unwrap().parse().unwrap())
        });
        hosts.map(Iterator::collect).collect()
    };
    let leave = |of: &str, rules: &[Rule]| Route {
        abandons: Some(to(of, 0)),
        ..route(RouteKind::Release, name("green"), 1, rules)
    };
    let everyone = rule(&[], WHOLE, &[to("cart-v2", 1)]);
    let mut changes = with([set(leave("cart", std::slice::from_ref(&everyone)))]);
    assert_eq!(left(&changes), [vec![1], vec![], vec![]], "cart itself, which leads to cart-v2");
    // Whether it is ready makes no difference to who is connected to it.
    let mut unready = slice("cart", "cart", &["10.1.0.1", "10.1.0.9"]);
    unready.endpoints[1].ready = false;
    changes.push(Change::SetSlice(unready));
    assert_eq!(left(&changes)[0], [1, 9]);
    // A route that comes first still leads some callers there.
    changes.push(caller(2, "shop", "old", &[]));
    let some = ours("first", 2, &[rule(&[of("shop")], WHOLE, &[to("cart", 1)])]);
    let with_first = changes.iter().cloned().chain([set(some)]).collect::<Vec<_>>();
    assert_eq!(left(&with_first)[0], [9]);
    // Nor is it left where the new version is gone, and callers go as without a route.
    changes.push(Change::RemoveSlice(name("cart-v2"), "cart-v2".into()));
    assert_eq!(left(&changes)[0], [9]);
    let same = with([set(leave("cart-v2", &[everyone]))]);
    assert_eq!(left(&same)[0], [0_u8; 0], "it leads there");
}

#[test]
fn whom_a_service_selects_is_a_member_before_any_slice_has_him() {
    let members = CallerSelector { members_of: Some(name("pay")), ..CallerSelector::default() };
    let selector = [("app".into(), "pay".into())].into();
    let changes = with([
        Change::SetService(Service { selector: Some(selector), ..service("pay", &["10.0.0.3"]) }),
        set(ours("one", 1, &[rule(&[members], WHOLE, &[to("cart-v2", 1)])])),
        caller(2, "shop", "new", &[("app", "pay"), ("track", "new")]),
        caller(3, "shop", "other", &[("app", "cart")]),
        caller(4, "mail", "abroad", &[("app", "pay")]),
    ]);
    let route = planned(&changes).unwrap();
    assert_eq!(route.callers.keys().copied().collect::<Vec<_>>(), [2]);
}
