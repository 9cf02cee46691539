//! Backends, Services and signals to try a tracker with.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use etm_health::{
    EndpointHealth, FailureKind, Failures, MonitorEjection, NodeFault, Outcomes, Readiness, Record,
    ServiceHealth, Signal, State, Suspect, Tracker, Verdict,
};
use etm_model::{
    BackendKey, HealthPolicy, Member, ObjectName, Percent, Pool, Probe, ProbeKind, Protocol,
    ServicePortName, Weight,
};

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The backend of a number.
pub(crate) fn backend(number: u8) -> BackendKey {
    let ip = Ipv4Addr::new(10, 1, 0, number).into();
    BackendKey { ip, port: 8080, protocol: Protocol::Tcp }
}

pub(crate) fn pod(number: u8) -> ObjectName {
    ObjectName::new("shop", format!("web-{number}"))
}

/// There are three, and each has every third backend.
pub(crate) fn node(number: u8) -> Arc<str> {
    format!("node-{}", number % 3).into()
}

pub(crate) fn service(name: &str) -> Arc<ServicePortName> {
    let service = ObjectName::new("shop", name);
    Arc::new(ServicePortName { service, port: "".into(), protocol: Protocol::Tcp })
}

pub(crate) fn pool(numbers: impl IntoIterator<Item = u8>) -> Pool {
    let members = numbers.into_iter().map(|number| Member {
        backend: backend(number),
        pod: Some(pod(number)),
        weight: Weight::default(),
    });
    members.collect()
}

pub(crate) fn endpoint(number: u8, readiness: Readiness) -> EndpointHealth {
    EndpointHealth {
        backend: backend(number),
        pod: Some(pod(number)),
        node: Some(node(number)),
        readiness,
        probe_port: None,
    }
}

/// A Service port of these backends, which no policy is for.
pub(crate) fn of(numbers: impl IntoIterator<Item = u8>) -> ServiceHealth {
    let numbers: Vec<_> = numbers.into_iter().collect();
    ServiceHealth {
        pools: vec![pool(numbers.iter().copied())],
        endpoints: numbers.iter().map(|number| endpoint(*number, Readiness::Ready)).collect(),
        ..ServiceHealth::default()
    }
}

/// The same with a policy: the default, changed.
pub(crate) fn governed(
    numbers: impl IntoIterator<Item = u8>,
    change: impl FnOnce(&mut HealthPolicy),
) -> ServiceHealth {
    let mut policy = HealthPolicy::default();
    change(&mut policy);
    ServiceHealth { policy: Some(Arc::new(policy)), ..of(numbers) }
}

pub(crate) fn percent(percent: u8) -> Percent {
    Percent::new(percent).unwrap()
}

pub(crate) fn probe() -> Probe {
    Probe::new(ProbeKind::Tcp)
}

/// A tracker of one Service, `web`, whose first changes were taken.
pub(crate) fn tracker(health: &ServiceHealth) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set_service(seconds(0), &service("web"), health);
    tracker.changes(seconds(0));
    tracker
}

pub(crate) fn failures() -> Failures {
    Failures { in_row: 5, callers: 2, last: FailureKind::Refused }
}

/// The kernel says that it ejected a backend.
pub(crate) fn ejected(until: u64, times: u32) -> Signal {
    Signal::Ejected { failures: failures(), until: seconds(until), times }
}

pub(crate) fn outcomes(established: u64, refused: u64) -> Outcomes {
    Outcomes { attempts: established + refused, established, refused, ..Outcomes::default() }
}

pub(crate) fn down(number: u8) -> (Arc<str>, NodeFault) {
    let fault = NodeFault { reason: "NotReady".into(), message: "no heartbeat".into() };
    (node(number), fault)
}

pub(crate) fn accused(number: u8) -> MonitorEjection {
    let suspect = Suspect::Pod(pod(number));
    MonitorEjection { suspect, monitor: "errors".into(), message: "0.4 > 0.05".into() }
}

pub(crate) fn verdict(tracker: &Tracker, now: u64, number: u8) -> Verdict {
    tracker.verdict(seconds(now), &backend(number)).unwrap()
}

pub(crate) fn state(tracker: &Tracker, now: u64, number: u8) -> State {
    verdict(tracker, now, number).state
}

/// The records that change, by the number of their backend.
pub(crate) fn records(tracker: &mut Tracker, now: u64) -> Vec<(u8, Record)> {
    let records = tracker.changes(seconds(now)).records.into_iter();
    let number = |key: BackendKey| match key.ip {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => unreachable!("the backends of these tests have IPv4 addresses"),
    };
    records.map(|(key, record)| (number(key), record)).collect()
}
