//! What a policy says of callers without a usable Pod, of the health of its Pods, and of sockets that
//! still point at one that is gone.

use std::sync::Arc;

use etm_model::{
    Change, HealthPolicy, Listener, Options, Passive, Plan, PlannedFrontend, Refusal, Service,
    Stale, StaleConnections, UnknownPort, compile,
};

use crate::{
    cluster::{service, snapshot},
    policies::{cart, plan, policy},
};

/// What of each frontend of a port follows from a policy's refusal, health and stale connections.
fn upkeep(plan: &Plan, port: &str) -> Vec<(u16, bool, Option<u8>, Stale)> {
    let frontends = plan.frontends.values();
    let of_port = frontends.filter(|frontend| *frontend.service.port == *port);
    let failures = |frontend: &PlannedFrontend| {
        let health = frontend.health.as_ref()?;
        Some(health.passive.as_ref().map_or(0, |passive| passive.consecutive_failures))
    };
    of_port.map(|f| (f.errno, f.anyway, failures(f), f.stale)).collect()
}

#[test]
fn refusal_health_and_stale_connections_are_those_of_the_policy_of_the_port() {
    let ordinary = vec![(111, false, Some(5), Stale::Keep); 2];
    assert_eq!(upkeep(&plan(&cart()), "http"), ordinary);

    let mut all = policy("all", "cart", 1);
    all.refusal = Refusal::TimedOut;
    all.stale = StaleConnections { tcp: Stale::End, udp: Stale::Keep };
    let passive = Passive { consecutive_failures: 9, ..Passive::default() };
    all.health = Some(Arc::new(HealthPolicy { passive: Some(passive), ..HealthPolicy::default() }));
    let mut changes = cart();
    changes.push(Change::SetPolicy(all.clone()));
    let planned = plan(&changes);
    for port in ["http", "admin"] {
        assert_eq!(upkeep(&planned, port), [(110, false, Some(9), Stale::End); 2]);
    }
    let mut found = planned.frontends.values().map(|frontend| frontend.health.as_ref().unwrap());
    assert!(found.all(|health| Arc::ptr_eq(health, all.health.as_ref().unwrap())));

    // Whole policies: of the one that names the port nothing is taken from the other.
    let mut http = policy("http", "cart", 2);
    http.port = Some("http".into());
    http.refusal = Refusal::Anyway;
    changes.push(Change::SetPolicy(http));
    let planned = plan(&changes);
    assert_eq!(upkeep(&planned, "http"), [(111, true, Some(5), Stale::Keep); 2]);
    assert_eq!(upkeep(&planned, "admin"), [(110, false, Some(9), Stale::End); 2]);
}

#[test]
fn frontends_without_a_policy_share_what_counts_for_their_health() {
    let mut changes = cart();
    changes.push(Change::SetService(service("mail", &["10.0.0.9"])));
    let planned = plan(&changes);
    let shared: Vec<_> =
        planned.frontends.values().map(|frontend| frontend.health.as_ref().unwrap()).collect();
    assert_eq!(shared.len(), 5);
    assert_eq!(**shared[0], HealthPolicy::default());
    assert!(shared.iter().all(|health| Arc::ptr_eq(health, shared[0])));
}

#[test]
fn pods_that_are_published_unready_are_ejected_only_where_a_policy_says_how() {
    let mut changes = cart();
    let mut cart: Service = service("cart", &["10.0.0.1"]);
    cart.publish_not_ready = true;
    changes.push(Change::SetService(cart));
    assert_eq!(upkeep(&plan(&changes), "http"), [(111, false, None, Stale::Keep)]);
    let mut calm = policy("calm", "cart", 1);
    changes.push(Change::SetPolicy(calm.clone()));
    assert_eq!(upkeep(&plan(&changes), "http"), [(111, false, None, Stale::Keep)]);
    calm.health = Some(Arc::default());
    changes.push(Change::SetPolicy(calm));
    assert_eq!(upkeep(&plan(&changes), "http"), [(111, false, Some(5), Stale::Keep)]);
}

#[test]
fn ports_that_a_service_lacks_refuse_as_a_policy_of_every_port_says() {
    let options = Options { unknown_port: UnknownPort::Refuse, ..Options::default() };
    let errnos = |changes: &[Change]| -> Vec<u16> {
        let plan = compile(&snapshot(changes), &options);
        let frontends = plan.frontends.iter();
        let unknown = frontends.filter(|(key, _)| key.listener == Listener::AnyPort);
        unknown.map(|(_, frontend)| frontend.errno).collect()
    };
    let mut changes = cart();
    let mut http = policy("http", "cart", 1);
    http.port = Some("http".into());
    http.refusal = Refusal::TimedOut;
    changes.push(Change::SetPolicy(http));
    assert_eq!(errnos(&changes), [111, 111]);
    let mut all = policy("all", "cart", 2);
    all.refusal = Refusal::HostUnreachable;
    changes.push(Change::SetPolicy(all));
    assert_eq!(errnos(&changes), [113, 113]);
}

#[test]
fn anyway_needs_members() {
    let mut anyway = policy("anyway", "cart", 1);
    anyway.refusal = Refusal::Anyway;
    let empty = [Change::SetService(service("cart", &["10.0.0.1"])), Change::SetPolicy(anyway)];
    assert_eq!(upkeep(&plan(&empty), "http"), [(111, false, Some(5), Stale::Keep)]);
}
