//! Traffic policies: which one counts, and what it makes of a Service's frontends.

use std::sync::Arc;

use etm_model::{
    AcceptedReason, Affinity, Algorithm, Balancing, Change, HashField, HashFields, Options, Plan,
    PlannedFrontend, Planner, Policy, Protocol, Service, Weight, compile, conditions, hash,
};

use crate::cluster::{ip, name, port, service, slice, snapshot};

const LEAST: Algorithm = Algorithm::LeastConnections;

/// A policy of a Service, by load.
pub(crate) fn policy(policy: &str, service: &str, created: i64) -> Policy {
    let mut made = Policy {
        name: name(policy),
        created: Some(created),
        service: service.into(),
        port: None,
        load_balancing: Default::default(),
        health: None,
        refusal: Default::default(),
        stale: Default::default(),
        monitors: Default::default(),
        ejected: Default::default(),
    };
    made.load_balancing.algorithm = LEAST;
    made
}

fn weight(weight: u16) -> Weight {
    Weight::new(weight).unwrap()
}

/// Service cart with the ports http and admin, on two addresses, and one Pod.
pub(crate) fn cart() -> Vec<Change> {
    let mut cart = service("cart", &["10.0.0.1", "10.0.0.2"]);
    cart.ports.push(port("admin", Protocol::Tcp, 81, None));
    vec![Change::SetService(cart), Change::SetSlice(slice("cart", "one", &["10.1.0.1"]))]
}

pub(crate) fn plan(changes: &[Change]) -> Plan {
    compile(&snapshot(changes), &Options::default())
}

/// What each frontend of a port chooses by.
fn balancing<'a>(plan: &'a Plan, port: &str) -> Vec<Option<&'a Balancing>> {
    let frontends = plan.frontends.values();
    let of_port = frontends.filter(|frontend| *frontend.service.port == *port);
    of_port.map(|frontend| frontend.balancing.as_deref()).collect()
}

fn algorithms(plan: &Plan, port: &str) -> Vec<Option<Algorithm>> {
    balancing(plan, port).into_iter().map(|found| found.map(|b| b.algorithm)).collect()
}

fn told(plan: &Plan) -> Vec<(String, String, String)> {
    let problems = plan.problems.iter();
    problems.map(|p| (p.object.clone(), p.field.clone(), p.reason.clone())).collect()
}

fn problem(object: &str, field: &str, reason: &str) -> (String, String, String) {
    (format!("TrafficPolicy shop/{object}"), field.into(), reason.into())
}

#[test]
fn without_one_a_service_is_balanced_evenly() {
    let plan = plan(&cart());
    assert_eq!(algorithms(&plan, "http"), [None, None]);
}

#[test]
fn every_frontend_of_the_service_follows_it() {
    let fields = HashFields::new([HashField::CallerNamespace]).unwrap();
    let mut sticky = policy("sticky", "cart", 1);
    sticky.load_balancing.algorithm = Algorithm::ConsistentHash(fields);
    let plan = plan(&[cart(), vec![Change::SetPolicy(sticky)]].concat());
    let expected = Balancing {
        algorithm: Algorithm::ConsistentHash(fields),
        salt: hash("shop/cart"),
        affinity: None,
    };
    assert_eq!(balancing(&plan, "http"), [Some(&expected); 2]);
    assert_eq!(balancing(&plan, "admin"), [Some(&expected); 2]);
    assert_eq!(plan.problems, []);
}

#[test]
fn the_oldest_counts_then_the_first_by_name() {
    let mut old = policy("young", "cart", 2);
    old.load_balancing.algorithm = Algorithm::Random;
    let changes = [
        cart(),
        vec![Change::SetPolicy(old), Change::SetPolicy(policy("old", "cart", 1))],
        vec![Change::SetPolicy(policy("other", "cart", 1))],
    ];
    let plan = plan(&changes.concat());
    assert_eq!(algorithms(&plan, "http"), [Some(LEAST); 2]);
    let already = "already says how Service shop/cart is balanced";
    assert_eq!(
        told(&plan),
        [
            problem(
                "other",
                "spec.targetRef",
                &format!(
                    "TrafficPolicy shop/old, which is as old and comes first by name, {already}"
                )
            ),
            problem(
                "young",
                "spec.targetRef",
                &format!("TrafficPolicy shop/old, which is older, {already}")
            ),
        ]
    );
}

#[test]
fn one_that_names_a_port_counts_for_it() {
    let mut http = policy("http", "cart", 2);
    http.port = Some("http".into());
    let mut all = policy("all", "cart", 1);
    all.load_balancing.algorithm = Algorithm::ConsistentHash(HashFields::default());
    let both = [cart(), vec![Change::SetPolicy(http.clone()), Change::SetPolicy(all)]].concat();
    let planned = plan(&both);
    assert_eq!(algorithms(&planned, "http"), [Some(LEAST); 2]);
    let hashed = Some(Algorithm::ConsistentHash(HashFields::default()));
    assert_eq!(algorithms(&planned, "admin"), [hashed; 2]);
    assert_eq!(planned.problems, []);
    let found = conditions(&snapshot(&both));
    assert!(found.values().all(etm_model::Accepted::status));
    let own = "counts for Service shop/cart, but for ports with a policy of their own";
    assert_eq!(found[&name("all")].message, own);
    assert_eq!(found[&name("http")].message, "counts for port http of Service shop/cart");

    // Where every port has one of its own, nothing is left for the other.
    let admin = Policy { name: name("admin"), port: Some("admin".into()), ..http };
    let three = [both, vec![Change::SetPolicy(admin)]].concat();
    let planned = plan(&three);
    assert_eq!(
        told(&planned),
        [problem(
            "all",
            "spec.targetRef",
            "TrafficPolicy shop/http, which names the port, already says how Service shop/cart is \
             balanced"
        )]
    );
    assert_eq!(conditions(&snapshot(&three))[&name("all")].reason, AcceptedReason::Conflicted);
}

#[test]
fn a_target_that_is_not_there_is_told_and_found_when_it_comes() {
    let mut planner = Planner::new(Options::default());
    let mut http = policy("http", "cart", 1);
    http.port = Some("web".into());
    planner.change([Change::SetPolicy(http.clone())]);
    let absent = |planner: &Planner| {
        let found = conditions(planner.snapshot());
        (told(planner.plan()), found[&name("http")].reason)
    };
    let missing = "there is no port web of Service shop/cart";
    assert_eq!(
        absent(&planner),
        (
            vec![problem(
                "http",
                "spec.targetRef.name",
                &format!("{missing} that this proxy handles")
            )],
            AcceptedReason::TargetNotFound
        )
    );
    planner.change(cart());
    assert_eq!(
        absent(&planner),
        (vec![problem("http", "spec.targetRef.port", missing)], AcceptedReason::PortNotFound)
    );
    assert!(planner.problems()[0].hint.starts_with("use one of http, admin, or take"));
    planner.change([Change::RemovePolicy(name("cart"), "http".into())]);
    assert_eq!(planner.problems(), []);
    http.port = Some("http".into());
    planner.change([Change::SetPolicy(http)]);
    assert_eq!(absent(&planner), (vec![], AcceptedReason::Accepted));
    assert_eq!(algorithms(planner.plan(), "http"), [Some(LEAST); 2]);
    planner.change([Change::RemoveService(name("cart"))]);
    assert_eq!(absent(&planner).1, AcceptedReason::TargetNotFound);
}

/// A Service of three Pods, the second and third of which are also in Service v2, and a policy that
/// weighs them.
fn weighed() -> (Vec<Change>, Policy) {
    let mut fair = policy("fair", "cart", 1);
    fair.load_balancing.algorithm = Algorithm::Random;
    fair.load_balancing.service_weights = vec![("v2".into(), weight(5)), ("v3".into(), weight(9))];
    let changes = vec![
        Change::SetService(service("cart", &["10.0.0.1"])),
        Change::SetService(service("v2", &["10.0.0.2"])),
        Change::SetSlice(slice("cart", "cart-1", &["10.1.0.1", "10.1.0.2", "10.1.0.3"])),
        Change::SetSlice(slice("v2", "v2-1", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])),
        Change::SetSlice(slice("v3", "v3-1", &["10.1.0.3"])),
    ];
    (changes, fair)
}

fn cart_frontend(plan: &Plan) -> &PlannedFrontend {
    let mut frontends = plan.frontends.values();
    frontends.find(|frontend| frontend.service.service == name("cart")).unwrap()
}

fn weights(plan: &Plan) -> Vec<u16> {
    cart_frontend(plan).pool.iter().map(|member| member.weight.get()).collect()
}

#[test]
fn services_and_annotations_weigh_their_pods() {
    let (mut changes, mut fair) = weighed();
    changes.push(Change::SetPolicy(fair.clone()));
    changes.push(Change::SetPodWeight(name("pod-10.1.0.2"), Some(weight(7))));
    let plain = plan(&changes);
    assert_eq!(weights(&plain), [1, 5, 5]);
    assert_eq!(cart_frontend(&plain).balancing.as_ref().unwrap().algorithm, Algorithm::Random);
    assert_eq!(plain.problems, []);

    fair.load_balancing.pod_weights = true;
    changes.push(Change::SetPolicy(fair.clone()));
    assert_eq!(weights(&plan(&changes)), [1, 7, 5]);

    // All alike is as good as none.
    fair.load_balancing.service_weights.clear();
    fair.load_balancing.pod_weights = false;
    changes.push(Change::SetPolicy(fair));
    let alike = plan(&changes);
    assert_eq!(weights(&alike), [1, 1, 1]);
    assert_eq!(cart_frontend(&alike).balancing, None);
}

#[test]
fn weights_follow_the_services_that_they_are_of() {
    let (changes, fair) = weighed();
    let mut planner = Planner::new(Options::default());
    planner.change(changes);
    planner.change([Change::SetPolicy(fair)]);
    let mut two = slice("v2", "v2-1", &["10.1.0.2", "10.1.0.3"]);
    two.endpoints[0].ready = false;
    planner.change([Change::SetSlice(two)]);
    assert_eq!(weights(planner.plan()), [1, 1, 5]);
    planner.change([Change::RemoveSlice(name("v2"), "v2-1".into())]);
    assert_eq!(weights(planner.plan()), [1, 1, 9]);
    assert_eq!(planner.problems(), []);
    planner.change([Change::RemoveService(name("v2"))]);
    assert_eq!(
        told(planner.plan()),
        [problem(
            "fair",
            "spec.loadBalancing.weights.services[0].name",
            "there is no Service shop/v2 that this proxy handles"
        )]
    );
    assert!(conditions(planner.snapshot())[&name("fair")].status());
}

#[test]
fn annotations_count_where_they_are_asked_for() {
    let (changes, mut fair) = weighed();
    fair.load_balancing.pod_weights = true;
    let mut planner = Planner::new(Options::default());
    planner.change(changes);
    planner.change([Change::SetPolicy(fair)]);
    let own = |weight| Change::SetPodWeight(name("pod-10.1.0.1"), weight);
    let delta = planner.change([own(Some(weight(3)))]);
    assert_eq!((delta.set.len(), weights(planner.plan())), (1, vec![3, 5, 5]));
    planner.change([own(None)]);
    assert_eq!(weights(planner.plan()), [1, 5, 5]);
}

#[test]
fn affinity_needs_no_policy() {
    let mut cart: Service = service("cart", &["10.0.0.1", "fd00::1"]);
    cart.affinity = Affinity::new(60);
    let mut planner = Planner::new(Options::default());
    planner.change([Change::SetService(cart)]);
    let frontends: Vec<_> = planner.plan().frontends.values().collect();
    let found: Vec<_> = frontends.iter().map(|f| f.balancing.as_ref().unwrap()).collect();
    assert_eq!(found[0].affinity, Affinity::new(60));
    assert_eq!(found[0].algorithm, Algorithm::Random);
    assert!(Arc::ptr_eq(found[0], found[1]));
    assert_eq!(frontends[0].service.service, name("cart"));
    assert_eq!(planner.plan().frontends.keys().next().unwrap().ip, ip("10.0.0.1"));
}
