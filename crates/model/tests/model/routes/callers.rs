//! Which callers a rule is for.

use super::*;

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
