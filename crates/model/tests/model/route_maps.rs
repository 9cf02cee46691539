//! Routes in the maps: each caller finds its own, at each moment a whole one.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use etm_abi as abi;
use etm_model::{
    Algorithm, BackendKey, Balancing, Contents, Delta, FrontendKey, HashFields, Ledger, Limits,
    Listener, Member, Plan, PlannedFrontend, PlannedRoute, Pool, Protocol, RouteClass, RoutePart,
    ServicePortName, Stale, Weight,
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    cluster::name,
    kernel::{AMPLE, Kernel},
};

fn member(host: u8) -> Member {
    let ip = IpAddr::from([10, 1, 0, host]);
    Member {
        backend: BackendKey { ip, port: 8080, protocol: Protocol::Tcp },
        pod: None,
        weight: Weight::default(),
    }
}

/// A few pools, of which one has no members.
fn pool() -> impl Strategy<Value = Pool> {
    let pools: [&[u8]; 5] = [&[], &[1], &[1, 2], &[3, 4, 5], &[6]];
    select(pools.map(|hosts| hosts.iter().map(|host| member(*host)).collect::<Pool>()).to_vec())
}

fn balancing() -> impl Strategy<Value = Option<Arc<Balancing>>> {
    let hashed = Balancing {
        algorithm: Algorithm::ConsistentHash(HashFields::default()),
        salt: 7,
        affinity: None,
    };
    prop_oneof![Just(None), Just(Some(Arc::new(hashed)))]
}

fn part() -> impl Strategy<Value = RoutePart> {
    (1..1_000_000_u32, pool(), balancing(), any::<bool>()).prop_map(
        |(weight, pool, balancing, elsewhere)| RoutePart {
            weight,
            anyway: false,
            elsewhere,
            pool,
            balancing,
        },
    )
}

fn class() -> impl Strategy<Value = RouteClass> {
    prop_oneof![
        1 => Just(RouteClass::Denied),
        4 => vec(part(), 1..4).prop_map(RouteClass::Forward),
        1 => vec(part(), PlannedRoute::PARTS).prop_map(RouteClass::Forward),
    ]
}

fn route() -> impl Strategy<Value = Option<Arc<PlannedRoute>>> {
    let route = vec(class(), 1..6).prop_flat_map(|classes| {
        let others = u8::try_from(classes.len()).unwrap();
        let callers = vec((1..150_u16, 0..others), 0..8);
        callers.prop_map(move |callers| {
            let callers = callers.into_iter().filter(|(_, class)| *class != 0).collect();
            Some(Arc::new(PlannedRoute { classes: classes.clone(), callers }))
        })
    });
    prop_oneof![1 => Just(None), 3 => route]
}

fn frontend() -> impl Strategy<Value = PlannedFrontend> {
    (pool(), balancing(), route(), 0..2_u8).prop_map(|(pool, balancing, route, service)| {
        let service = ServicePortName {
            service: name(["cart", "catalog"][usize::from(service)]),
            port: "http".into(),
            protocol: Protocol::Tcp,
        };
        PlannedFrontend {
            service: Arc::new(service),
            balancing: balancing.filter(|_| !pool.is_empty()),
            pool,
            sources: None,
            node_only: false,
            errno: 111,
            anyway: false,
            elsewhere: false,
            health: None,
            ejected: Arc::default(),
            stale: Stale::Keep,
            route,
            abandoned: None,
        }
    })
}

fn key(host: u8) -> FrontendKey {
    FrontendKey { ip: IpAddr::from([10, 0, 0, host]), listener: Listener::Port(80, Protocol::Tcp) }
}

fn delta() -> impl Strategy<Value = Delta> {
    vec((0..4_u8, proptest::option::weighted(0.8, frontend())), 1..4).prop_map(|changes| {
        let mut delta = Delta::default();
        for (host, frontend) in changes.into_iter().collect::<BTreeMap<_, _>>() {
            match frontend {
                Some(frontend) => drop(delta.set.insert(key(host), frontend)),
                None => drop(delta.remove.insert(key(host))),
            }
        }
        delta
    })
}

proptest! {
    #[test]
    fn every_caller_finds_what_is_planned(story in vec((delta(), 0..4_u8), 1..10)) {
        let mut kernel = Kernel::new(AMPLE);
        let mut plan = Plan::default();
        for (delta, then) in story {
            plan.apply(&delta);
            kernel.apply(&delta);
            kernel.holds(&plan);
            match then {
                0 => kernel.settle(),
                1 => {
                    kernel.restart();
                    let reconciled = kernel.reconcile(&plan);
                    prop_assert_eq!(reconciled.steps, []);
                }
                _ => {}
            }
        }
        kernel.settle();
        prop_assert_eq!(kernel.ledger.usage().routes, lines_in_use(&kernel.maps.contents()));
        kernel.apply(&Delta { remove: (0..4).map(key).collect(), ..Delta::default() });
        kernel.settle();
        let usage = kernel.ledger.usage();
        prop_assert_eq!((usage.routes, usage.slots, usage.backends), (0, 0, 0));
    }

    #[test]
    fn other_maps_take_routes_over(delta in delta()) {
        let mut kernel = Kernel::new(AMPLE);
        kernel.apply(&delta);
        let carried = Ledger::adopt(kernel.maps.contents(), AMPLE, 9).carried();
        let mut next = Kernel::new(Limits { routes: 512, ..AMPLE });
        next.apply(&carried);
        let mut plan = Plan::default();
        plan.apply(&delta);
        next.holds(&plan);
    }

    #[test]
    fn what_is_wrong_with_a_route_is_mended(
        delta in delta(),
        wrong in vec((0..64_usize, any::<u64>()), 1..4),
    ) {
        let mut kernel = Kernel::new(AMPLE);
        let mut plan = Plan::default();
        plan.apply(&delta);
        kernel.apply(&delta);
        for (at, word) in wrong {
            kernel.maps.routes[at] = word;
        }
        kernel.ledger = Ledger::adopt(kernel.maps.contents(), AMPLE, 1 << 31);
        // Not while programs look on: what they would see is broken to begin with.
        for step in kernel.ledger.reconcile(&plan, kernel.now).steps {
            kernel.maps.apply(&step).unwrap();
        }
        kernel.settle();
        kernel.holds(&plan);
        prop_assert_eq!(kernel.ledger.usage().routes, lines_in_use(&kernel.maps.contents()));
    }
}

/// Lines of all routes that frontends lead to.
fn lines_in_use(contents: &Contents) -> u32 {
    let words = contents.routes.values().map(|route| route.words().len());
    u32::try_from(words.sum::<usize>()).unwrap() / abi::LINE_WORDS
}

#[test]
fn a_route_that_does_not_fit_waits_and_the_frontend_stays_as_it_was() {
    let mut kernel = Kernel::new(Limits { routes: 3, ..AMPLE });
    let part = |host| RoutePart {
        weight: 1,
        pool: [member(host)].into(),
        balancing: None,
        anyway: false,
        elsewhere: false,
    };
    let planned = |last: u16, host| PlannedFrontend {
        service: Arc::new(ServicePortName {
            service: name("cart"),
            port: "http".into(),
            protocol: Protocol::Tcp,
        }),
        pool: Pool::default(),
        sources: None,
        node_only: false,
        errno: 111,
        anyway: false,
        elsewhere: false,
        balancing: None,
        health: None,
        ejected: Arc::default(),
        stale: Stale::Keep,
        abandoned: None,
        route: Some(Arc::new(PlannedRoute {
            classes: vec![RouteClass::Denied, RouteClass::Forward(vec![part(host)])],
            callers: BTreeMap::from([(last, 1)]),
        })),
    };
    let set = |frontend| Delta { set: BTreeMap::from([(key(1), frontend)]), ..Delta::default() };
    assert_eq!(kernel.apply(&set(planned(5, 1))).problems, []);
    let told = kernel.apply(&set(planned(200, 2))).problems;
    assert_eq!(told.len(), 1);
    assert!(told[0].hint.starts_with("raise --max-route-lines"), "{told:?}");
    assert!(kernel.is_as_planned(&key(1), &planned(5, 1)));
    // One of two lines: there is room for it, but not beside the one before.
    assert_eq!(kernel.apply(&set(planned(9, 3))).problems.len(), 1);
    kernel.apply(&Delta { remove: [key(1)].into(), ..Delta::default() });
    kernel.settle();
    assert_eq!(kernel.apply(&set(planned(9, 3))).problems, []);
    assert!(kernel.is_as_planned(&key(1), &planned(9, 3)));
}
