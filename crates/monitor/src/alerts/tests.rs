use std::time::{Duration, Instant};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn alerts() -> Alerts {
    Alerts { matchers: vec![("alertname".into(), "Broken".into())], repeat: 10 * SECOND }
}

fn alert(status: AlertStatus, pod: &str) -> Alert {
    let labels = [("alertname", "Broken"), ("pod", pod), ("severity", "page")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Alert { status, labels: labels.into() }
}

fn subjects() -> Subjects {
    let endpoint = |name: &str, address: &str| {
        serde_json::json!({
            "addresses": [address], "targetRef": {"kind": "Pod", "name": name, "uid": name},
        })
    };
    let endpoints = [endpoint("a", "10.0.0.1"), endpoint("b", "10.0.0.2")];
    let slice = serde_json::json!({
        "metadata": {}, "addressType": "IPv4", "endpoints": endpoints,
    });
    Subjects::endpoints("shop", &[serde_json::from_value(slice).unwrap()])
}

fn settled(book: &mut Book, now: Instant) -> Vec<String> {
    book.settle(&alerts(), &subjects(), now, Timestamp::UNIX_EPOCH);
    book.out.keys().map(ToString::to_string).collect()
}

#[test]
fn firing_ejects_and_the_end_returns() {
    let (mut book, now) = (Book::default(), Instant::now());
    assert!(book.hear(&alerts(), &alert(AlertStatus::Firing, "a"), now));
    let mut other = alert(AlertStatus::Firing, "b");
    other.labels.insert("alertname".into(), "Slow".into());
    assert!(!book.hear(&alerts(), &other, now));
    assert!(book.hear(&alerts(), &alert(AlertStatus::Firing, "elsewhere"), now));
    assert_eq!(settled(&mut book, now), ["Pod a"]);
    assert_eq!(&*book.out.values().next().unwrap().message, "Broken is firing");
    book.hear(&alerts(), &alert(AlertStatus::Resolved, "a"), now);
    assert_eq!(settled(&mut book, now), [""; 0]);
    assert!(!book.missed && !book.nameless);
}

#[test]
fn one_that_is_not_repeated_has_ended() {
    let (mut book, start) = (Book::default(), Instant::now());
    book.hear(&alerts(), &alert(AlertStatus::Firing, "a"), start);
    settled(&mut book, start);
    book.hear(&alerts(), &alert(AlertStatus::Firing, "a"), start + 15 * SECOND);
    assert_eq!(book.expiry(&alerts()), Some(start + 35 * SECOND));
    assert_eq!(settled(&mut book, start + 34 * SECOND), ["Pod a"]);
    assert!(!book.missed);
    assert_eq!(settled(&mut book, start + 35 * SECOND), [""; 0]);
    assert!(book.missed, "it is told");
    book.hear(&alerts(), &alert(AlertStatus::Resolved, "a"), start + 36 * SECOND);
    assert!(!book.missed, "until something is heard again");
}

#[test]
fn who_was_out_before_stays_until_an_end_or_silence() {
    let start = Instant::now();
    let heir = || {
        let out = ["a", "b"].map(|name| {
            let subject = Subject::Pod(name.into(), name.into());
            (subject, Out::new("before".into(), Timestamp::UNIX_EPOCH))
        });
        Book::heir(out.into(), start)
    };
    let mut book = heir();
    assert_eq!(settled(&mut book, start), ["Pod a", "Pod b"]);
    let mut end = alert(AlertStatus::Resolved, "");
    end.labels.insert("instance".into(), "10.0.0.1:8080".into());
    book.hear(&alerts(), &end, start);
    assert_eq!(settled(&mut book, start), ["Pod b"]);
    book.hear(&alerts(), &alert(AlertStatus::Firing, "b"), start + 15 * SECOND);
    assert_eq!(settled(&mut book, start + 25 * SECOND), ["Pod b"]);
    assert_eq!(&*book.out.values().next().unwrap().message, "before", "it never returned");

    let mut silent = heir();
    assert!(!silent.expire(&alerts(), start + 19 * SECOND));
    assert!(silent.expire(&alerts(), start + 20 * SECOND));
    assert!(silent.out.is_empty());
}

#[test]
fn a_webhook_as_alertmanager_sends_it() {
    let text = r#"{"receiver":"etm","status":"firing","alerts":[{"status":"firing","labels":
        {"alertname":"Broken","pod":"a"},"annotations":{},"startsAt":"2023-01-01T00:00:00Z",
        "endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"1"}],"groupLabels":{},
        "commonLabels":{},"commonAnnotations":{},"externalURL":"","version":"4","groupKey":"{}",
        "truncatedAlerts":0}"#;
    let notification: Notification = serde_json::from_str(text).unwrap();
    assert_eq!(notification.alerts[0].status, AlertStatus::Firing);
    assert_eq!(notification.alerts[0].labels["pod"], "a");
}
