//! Of several routes which counts.

use super::*;

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
