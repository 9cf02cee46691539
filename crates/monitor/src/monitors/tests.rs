use etm_model::{Alerts, Bad};

use super::*;
use crate::{alerts::Notification, subject::Labels};

const SECOND: Duration = Duration::from_secs(1);

fn scope() -> Scope {
    Scope::Policy(ObjectName::new("shop", "calm"), "cart".into())
}

fn query(name: &str) -> Monitor {
    let query = Query {
        text: "q".into(),
        bad: Bad::greater_than(1.0).unwrap(),
        interval: 10 * SECOND,
        timeout: SECOND,
        consecutive: 1,
        recovery: 1,
        hold: 60 * SECOND,
    };
    Monitor { name: name.into(), source: MonitorSource::Prometheus(query) }
}

fn alerts(name: &str) -> Monitor {
    let matchers = vec![("alertname".into(), "Broken".into())];
    let alerts = Alerts { matchers, repeat: 10 * SECOND };
    Monitor { name: name.into(), source: MonitorSource::Alertmanager(alerts) }
}

fn nodes() -> Subjects {
    let (name, none): (Arc<str>, &[std::net::IpAddr]) = ("a".into(), &[]);
    Subjects::nodes([(&name, none)])
}

fn sample(value: f64) -> Sample {
    Sample { labels: Labels::from([("node".into(), "a".into())]), value }
}

#[test]
fn each_is_asked_at_its_interval_and_once_at_a_time() {
    let (mut monitors, start) = (Monitors::default(), Instant::now());
    monitors.set(&Scope::Nodes, &[query("one")], &[], start);
    let first = monitors.next().unwrap();
    assert!(first < start + 10 * SECOND);
    assert_eq!(monitors.ask(first - SECOND / 1000).filter(|_| first > start), None);
    let asked = monitors.ask(first).unwrap();
    assert_eq!((monitors.ask(first + 60 * SECOND), monitors.next()), (None, None));
    let time = Timestamp::UNIX_EPOCH;
    monitors.take(&asked, Ok((nodes(), vec![sample(2.0)])), first + SECOND, time);
    assert_eq!(monitors.next(), Some(first + 11 * SECOND));
    assert_eq!(monitors.ejected(&Scope::Nodes).len(), 1);
    assert_eq!(monitors.ejected(&scope()), []);

    let asked = monitors.ask(first + 11 * SECOND).unwrap();
    let trouble = Trouble::Unreachable("gone".to_owned());
    monitors.take(&asked, Err(trouble.clone()), first + 12 * SECOND, time);
    let standings: Vec<_> = monitors.standings(&Scope::Nodes).map(|(_, s)| s.clone()).collect();
    assert_eq!(standings, [Standing::Failing(trouble)]);
    assert_eq!((monitors.count(), monitors.ejected(&Scope::Nodes).len()), ((1, 1), 1));
    monitors.expire(first + 60 * SECOND);
    assert_eq!(monitors.ejected(&Scope::Nodes).len(), 1);
    monitors.expire(first + 61 * SECOND);
    assert_eq!(monitors.ejected(&Scope::Nodes), []);
}

#[test]
fn one_that_is_changed_or_gone_says_nothing_more() {
    let (mut monitors, start) = (Monitors::default(), Instant::now());
    let written = Ejection {
        subject: Subject::Node("a".into()),
        monitor: "one".into(),
        message: "before".into(),
        since: Timestamp::UNIX_EPOCH,
    };
    monitors.set(&Scope::Nodes, &[query("one"), query("two")], &[written], start);
    assert_eq!(monitors.ejected(&Scope::Nodes).len(), 1, "taken over");
    let due = start + 10 * SECOND;
    let asked = [monitors.ask(due).unwrap(), monitors.ask(due).unwrap()];
    monitors.set(&Scope::Nodes, &[query("two")], &[], start);
    assert_eq!(monitors.ejected(&Scope::Nodes), []);
    for asked in &asked {
        monitors.take(asked, Ok((nodes(), vec![sample(2.0)])), due, Timestamp::UNIX_EPOCH);
    }
    assert_eq!(monitors.ejected(&Scope::Nodes).len(), 1, "by two alone");
    monitors.set(&scope(), &[query("one")], &[], start);
    monitors.remove(&ObjectName::new("shop", "calm"));
    assert_eq!(monitors.count().0, 1);
}

#[test]
fn what_alertmanager_sends_is_looked_at_once() {
    let (mut monitors, start) = (Monitors::default(), Instant::now());
    monitors.set(&Scope::Nodes, &[alerts("one")], &[], start);
    let time = Timestamp::UNIX_EPOCH;
    let asked = monitors.ask(start).unwrap();
    assert_eq!(asked.query, None);
    let notification = |status: &str| -> Notification {
        serde_json::from_value(serde_json::json!({"version": "4", "alerts": [
            {"status": status, "labels": {"alertname": "Broken", "node": "a"}},
        ]}))
        .unwrap()
    };
    // While an answer is waited for.
    monitors.hear(&notification("firing"), start);
    assert_eq!(monitors.next().map(|next| next > start), Some(true), "when it is forgotten");
    monitors.take(&asked, Ok((nodes(), Vec::new())), start, time);
    assert_eq!(monitors.ejected(&Scope::Nodes).len(), 1);
    assert_eq!(monitors.next(), Some(start));
    let asked = monitors.ask(start).unwrap();
    monitors.take(&asked, Ok((nodes(), Vec::new())), start, time);
    assert_eq!(monitors.next(), Some(start + LOOK));
    monitors.hear(&notification("resolved"), start);
    let asked = monitors.ask(start).unwrap();
    monitors.take(&asked, Ok((nodes(), Vec::new())), start, time);
    assert_eq!(monitors.ejected(&Scope::Nodes), []);
    // The end gets lost, and the API server with it.
    monitors.hear(&notification("firing"), start);
    let asked = monitors.ask(start).unwrap();
    monitors.take(&asked, Ok((nodes(), Vec::new())), start, time);
    let _unanswered = monitors.ask(start + LOOK).unwrap();
    assert_eq!(monitors.next(), Some(start + 20 * SECOND));
    monitors.expire(start + 20 * SECOND);
    assert_eq!(monitors.ejected(&Scope::Nodes), []);
    let standings: Vec<_> = monitors.standings(&Scope::Nodes).map(|(_, s)| s.clone()).collect();
    assert_eq!(standings, [Standing::Failing(Trouble::NotRepeated)]);
}
