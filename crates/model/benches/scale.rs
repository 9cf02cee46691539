//! Time and memory of planning and accounting for 10,000 Services of 10 endpoints each.
//!
//! `cargo bench -p etm-model`: prints the median of several rounds, and the resident memory of the
//! process after each stage, the Snapshot included.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::{
    fs, hint,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_model::{
    Action, Address, AddressKind, CALLER_NODE_NUMBER, CallerNumber, CallerPod, CallerSelector,
    Change, Contents, Delta, Destination, DestinationRef, Endpoint, EndpointSlice, Family,
    LabelSelector, Labels, Ledger, Limits, Locality, ObjectName, Operator, Options, Planner,
    Protocol, Requirement, Route, RouteKind, RouteOwner, RoutePort, Rule, Service, ServicePort,
    SlicePort, Snapshot, TrafficPolicy, compile,
};

const SERVICES: u32 = 10_000;
const ENDPOINTS: u32 = 10;
/// Their Pods are spread over so many nodes, in three zones.
const NODES: u32 = 5_000;
const ROUNDS: usize = 5;
const ROUTES: u32 = 500;
const CALLERS: u32 = 250;
const LIMITS: Limits =
    Limits { frontends: 65_536, backends: 262_144, slots: 524_288, routes: 16_384 };

fn main() {
    let before = resident();
    let snapshot = cluster();
    println!("snapshot                {:>10} KiB", resident() - before);

    let mut planner = Planner::new(Options::default());
    planner.replace(snapshot);
    println!("  with Plan             {:>10} KiB", resident() - before);
    let mut ledger = Ledger::adopt(Contents::default(), LIMITS, 1);
    let steps = ledger.reconcile(planner.plan(), Duration::ZERO).steps.len();
    println!("  with Ledger           {:>10} KiB", resident() - before);
    println!("  steps                 {steps:>10}");

    time("compile", || {
        hint::black_box(compile(planner.snapshot(), &Options::default()));
    });
    time("reconcile from empty", || {
        let mut ledger = Ledger::adopt(Contents::default(), LIMITS, 1);
        hint::black_box(ledger.reconcile(planner.plan(), Duration::ZERO));
    });
    time("reconcile unchanged", || {
        assert!(ledger.reconcile(planner.plan(), Duration::ZERO).steps.is_empty());
    });
    one_change(&mut planner, &mut ledger);
    routes(&mut planner);
}

/// 500 Services with a route each, 250 callers on the node: what single changes cost.
fn routes(planner: &mut Planner) {
    for index in 0..CALLERS {
        planner.change([caller(index, true)]);
    }
    let mut set = each(ROUTES, |index| planner.change([route(index, 5)]));
    show("one route, plan", &mut set);
    let mut weight = each(ROUTES, |index| planner.change([route(index, 10)]));
    show("one weight, plan", &mut weight);
    let localities = localities();
    let mut moved = each(ROUTES, |index| {
        let mut slice = slice(ROUTES + index, &localities);
        slice.endpoints.pop();
        let delta = planner.change([Change::SetSlice(slice)]);
        assert_eq!(delta.set.len(), 2, "the destination's own frontend and the target's");
        delta
    });
    show("one destination, plan", &mut moved);
    let mut other = each(CALLERS, |index| {
        let delta = planner.change([caller(index, index % 2 == 0)]);
        assert!(delta.set.len() == if index % 2 == 0 { 0 } else { ROUTES as usize });
        delta
    });
    show("one caller, plan", &mut other);
}

fn each(count: u32, mut change: impl FnMut(u32) -> Delta) -> Vec<Duration> {
    let times = (0..count).map(|index| {
        let start = Instant::now();
        hint::black_box(change(index));
        start.elapsed()
    });
    times.collect()
}

/// A caller of this node that routes select or do not.
fn caller(index: u32, selected: bool) -> Change {
    let app = if selected { "web" } else { "batch" };
    let pod = CallerPod {
        name: Some(ObjectName::new("namespace-0", format!("caller-{index}"))),
        labels: Labels::from([("app".into(), app.into())]),
        service_account: "default".into(),
        addresses: Vec::new(),
    };
    let number = CALLER_NODE_NUMBER + 1 + CallerNumber::try_from(index).unwrap();
    Change::SetCaller(number, Some(pod))
}

/// Callers that are labelled so go to another Service by this weight.
fn route(index: u32, weight: u32) -> Change {
    let target = service_name(index);
    let owner = RouteOwner { kind: RouteKind::TrafficRoute, name: target.clone() };
    let to = |index: u32, weight| Destination {
        field: "spec.rules[0].backendRefs[0]".into(),
        weight,
        to: DestinationRef::Service { name: service_name(index), port: RoutePort::Every },
    };
    let operator = Operator::In(vec!["web".into()]);
    let requirements = vec![Requirement { key: "app".into(), operator }];
    let from =
        CallerSelector { pod_labels: Some(LabelSelector { requirements }), ..Default::default() };
    let rule = Rule {
        name: "".into(),
        field: "spec.rules[0]".into(),
        from: vec![from],
        share: None,
        action: Action::Forward(vec![to(index, 100 - weight), to(ROUTES + index, weight)]),
    };
    let route = Route {
        owner: owner.clone(),
        created: None,
        field: "spec.parentRefs[0]".into(),
        target,
        port: RoutePort::Every,
        protocol: None,
        consumers: None,
        rules: vec![rule],
        abandons: None,
    };
    Change::SetRoutes(owner, vec![route])
}

/// One slice loses and regains an endpoint, in Services all over the cluster.
fn one_change(planner: &mut Planner, ledger: &mut Ledger) {
    let localities = localities();
    let (mut plan, mut apply, mut expire) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..2_000_u32 {
        let now = Duration::from_millis(u64::from(round) * 10);
        let mut changed = slice((round / 2).wrapping_mul(7_919) % SERVICES, &localities);
        if round % 2 == 0 {
            changed.endpoints.pop();
        }
        let start = Instant::now();
        let delta = planner.change([Change::SetSlice(changed)]);
        plan.push(start.elapsed());
        let start = Instant::now();
        let reconciled = ledger.apply(&delta, now);
        apply.push(start.elapsed());
        assert_eq!((delta.set.len(), reconciled.report.changed), (1, 1));
        let start = Instant::now();
        hint::black_box(ledger.expire(now));
        expire.push(start.elapsed());
    }
    show("one change, plan", &mut plan);
    show("one change, apply", &mut apply);
    show("one change, expire", &mut expire);
}

fn time(what: &str, mut run: impl FnMut()) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    show(what, &mut times);
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what:<24}{median:>14.1?} (at most {worst:.1?})");
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn cluster() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let localities = localities();
    for index in 0..SERVICES {
        snapshot.change(Change::SetService(service(index)));
        snapshot.change(Change::SetSlice(slice(index, &localities)));
    }
    snapshot
}

/// One for each node, as the source shares them.
fn localities() -> Vec<Arc<Locality>> {
    let locality = |node: u32| Locality {
        node: Some(format!("ip-10-0-{}-{}.region.example.internal", node >> 8, node & 255).into()),
        zone: Some(format!("region-{}", node % 3).into()),
        ..Locality::default()
    };
    (0..NODES).map(|node| Arc::new(locality(node))).collect()
}

fn service_name(index: u32) -> ObjectName {
    ObjectName::new(format!("namespace-{}", index % 100), format!("service-{index}"))
}

fn service(index: u32) -> Service {
    let ip = Ipv4Addr::from_bits(0x0a60_0000 + index).into();
    Service {
        name: service_name(index),
        created: Some(1_700_000_000 + i64::from(index)),
        addresses: vec![Address { ip, kind: AddressKind::Cluster }],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        internal_policy: TrafficPolicy::Cluster,
        external_policy: TrafficPolicy::Cluster,
        health_check_port: None,
        source_ranges: None,
        affinity: None,
        publish_not_ready: false,
        selector: None,
    }
}

fn slice(index: u32, localities: &[Arc<Locality>]) -> EndpointSlice {
    let service = service_name(index);
    let namespace = Arc::clone(&service.namespace);
    EndpointSlice {
        name: ObjectName::new(Arc::clone(&namespace), format!("service-{index}-x7k2p")),
        service: service.name,
        family: Family::V4,
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: (0..ENDPOINTS)
            .map(|pod| Endpoint {
                address: Ipv4Addr::from_bits(0x0a80_0000 + index * ENDPOINTS + pod).into(),
                ready: true,
                serving: true,
                terminating: false,
                pod: Some(ObjectName::new(
                    Arc::clone(&namespace),
                    format!("service-{index}-6d4cf56db6-{pod:05}"),
                )),
                locality: Some(Arc::clone(&localities[((index * 7 + pod * 501) % NODES) as usize])),
            })
            .collect(),
    }
}
