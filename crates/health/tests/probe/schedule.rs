use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use etm_health::{Target, probe::Schedule};
use etm_model::{ObjectName, ProbeKind, Protocol, ServicePortName};

use crate::servers::target;

fn service(name: &str) -> Arc<ServicePortName> {
    let service = ObjectName::new("shop", name);
    Arc::new(ServicePortName { service, port: "".into(), protocol: Protocol::Tcp })
}

fn targets(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<Target> {
    let address = |number: u32| SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number), 80));
    numbers.into_iter().map(|number| target(address(number), ProbeKind::Tcp)).collect()
}

/// When each target is due until then.
fn run(schedule: &mut Schedule, until: Duration) -> BTreeMap<Target, Vec<Duration>> {
    let mut times: BTreeMap<_, Vec<_>> = BTreeMap::new();
    while let Some(next) = schedule.next().filter(|next| *next < until) {
        while let Some(target) = schedule.pop(next) {
            times.entry(target).or_default().push(next);
        }
    }
    times
}

#[test]
fn a_thousand_targets_are_spread_over_the_interval() {
    let mut schedule = Schedule::new("node-1");
    schedule.set(Duration::ZERO, &service("web"), targets(0..1_000));
    let times = run(&mut schedule, Duration::from_secs(10));
    let mut tenths = [0; 100];
    for times in times.values() {
        assert_eq!(times.len(), 1);
        tenths[times[0].as_millis() as usize / 100] += 1;
    }
    // Ten on the average, each with a standard deviation of three.
    assert!(tenths.iter().all(|targets| (1..=25).contains(targets)), "{tenths:?}");
}

#[test]
fn each_target_is_due_once_an_interval_without_drift() {
    let mut schedule = Schedule::new("node-1");
    schedule.set(Duration::from_millis(1_234), &service("web"), targets(0..50));
    let times = run(&mut schedule, Duration::from_secs(101));
    assert_eq!(times.len(), 50);
    for times in times.values() {
        assert!(times.len() >= 9);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_secs(10)));
    }
}

#[test]
fn nodes_probe_one_pod_at_different_times() {
    let due = |node: &str| {
        let mut schedule = Schedule::new(node);
        schedule.set(Duration::ZERO, &service("web"), targets([7]));
        schedule.next()
    };
    let times: BTreeSet<_> = (0..100).map(|node| due(&format!("node-{node}"))).collect();
    assert_eq!(times.len(), 100);
}

#[test]
fn what_was_missed_is_left_out() {
    let mut schedule = Schedule::new("node-1");
    schedule.set(Duration::ZERO, &service("web"), targets([7]));
    let late = Duration::from_secs(95);
    assert!(schedule.pop(late).is_some());
    assert_eq!(schedule.pop(late), None);
    assert!(schedule.next().unwrap() > late);
}

#[test]
fn a_target_stays_until_no_service_asks_for_it() {
    let mut schedule = Schedule::new("node-1");
    let [one, other] = ["web", "other"].map(service);
    schedule.set(Duration::ZERO, &one, targets([1, 2]));
    schedule.set(Duration::ZERO, &other, targets([2, 3]));
    assert_eq!(schedule.len(), 3);
    let due = schedule.next();
    schedule.set(Duration::from_millis(1), &one, targets([2]));
    schedule.set(Duration::from_millis(1), &one, targets([1, 2]));
    assert_eq!((schedule.len(), schedule.next()), (3, due));
    schedule.set(Duration::ZERO, &one, BTreeSet::new());
    assert_eq!(schedule.len(), 2);
    schedule.set(Duration::ZERO, &other, BTreeSet::new());
    assert_eq!((schedule.is_empty(), schedule.next()), (true, None));
}
