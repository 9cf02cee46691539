//! Where routes lead.

use super::*;

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
fn a_release_whose_version_is_deleted_keeps_its_other_rules() {
    // Once the new version is away, everyone reaches the stable one, whatever the Service selects.
    let rules = [
        rule(&[of("mail")], WHOLE, &[to("gone", 100)]),
        rule(&[], WHOLE, &[to("gone", 50), to("cart-v2", 50)]),
    ];
    let release = |rules: &[Rule]| set(route(RouteKind::Release, name("two"), 1, rules));
    let mut changes = with([release(&rules), caller(2, "mail", "post", &[])]);
    let given = |changes: &[Change], number| got(planned(changes).as_deref(), number);
    assert_eq!([given(&changes, 0), given(&changes, 2)], [[(1, vec![2])], [(1, vec![2])]]);
    assert!(told(&changes).iter().any(|told| told.contains("no Service shop/gone")));
    changes.push(Change::SetService(service("gone", &["10.0.0.9"])));
    changes.push(Change::SetSlice(slice("gone", "gone", &["10.1.0.9"])));
    assert_eq!(given(&changes, 0), [(50, vec![9]), (50, vec![2])]);
    assert_eq!(given(&changes, 2), [(1, vec![9])]);
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
