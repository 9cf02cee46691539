use etm_api::ReportedEndpoint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    event::{Objects, events, told},
    *,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn out(pod: &str, port: u16, since: i64) -> ReportedEndpoint {
    ReportedEndpoint {
        namespace: "shop".into(),
        pod: Some(pod.into()),
        address: "10.0.0.1".into(),
        port,
        protocol: "TCP".into(),
        services: vec!["web".into()],
        state: "Ejected".into(),
        reason: "ConnectionsFail".into(),
        message: format!("5 in a row since {since}"),
        since: Time(at(since)),
        until: None,
    }
}

/// What is told until nothing is left to tell.
fn tell(cases: &mut Cases, now: Instant) -> Vec<Telling> {
    let mut all = Vec::new();
    while let Some(telling) = cases.next(now) {
        cases.note(&telling, now);
        all.push(telling);
    }
    all
}

fn node(name: &str) -> Arc<str> {
    name.into()
}

fn leading() -> (Cases, Instant) {
    let (mut cases, now) = (Cases::default(), Instant::now());
    cases.lead(BTreeMap::new(), now);
    (cases, now)
}

#[test]
fn many_nodes_are_told_of_once_and_so_is_the_end() {
    let (mut cases, now) = leading();
    for i in 0..300 {
        cases.report(&format!("n{i}").into(), Some(vec![out("web-1", 80, 100 + i)]), now);
    }
    assert_eq!(tell(&mut cases, now), []);
    let later = now + SETTLE;
    assert_eq!(cases.wake(), Some(later));
    let all = tell(&mut cases, later);
    let [Telling { what: What::Ejected { nodes: 300, everywhere: false, message }, .. }] = &all[..]
    else {
        panic!("{all:?}")
    };
    assert_eq!(**message, *"5 in a row since 100");
    // One more, and one less, are no news; nor is another reason.
    cases.report(&node("late"), Some(vec![out("web-1", 80, 900)]), later);
    for i in 0..299 {
        cases.report(&format!("n{i}").into(), Some(Vec::new()), later);
    }
    cases.report(&node("late"), None, later);
    assert_eq!((tell(&mut cases, later + SETTLE), cases.wake()), (vec![], None));
    cases.report(&node("n299"), Some(Vec::new()), later);
    let all = tell(&mut cases, later + SETTLE);
    assert_eq!(all.iter().map(|one| &one.what).collect::<Vec<_>>(), [&What::Returned]);
    assert_eq!(all[0].since, at(100));
    assert!(cases.cases.is_empty() && cases.sources.is_empty() && cases.queue.is_empty());
}

#[test]
fn what_is_over_soon_is_not_told() {
    let (mut cases, now) = leading();
    cases.report(&node("a"), Some(vec![out("web-1", 80, 1)]), now);
    cases.report(&node("a"), Some(Vec::new()), now + SETTLE / 2);
    assert_eq!((tell(&mut cases, now + 2 * SETTLE), cases.wake()), (vec![], None));
}

#[test]
fn ports_of_one_pod_are_one_case() {
    let (mut cases, now) = leading();
    let mut other = out("web-1", 443, 50);
    other.services = vec!["admin".into()];
    cases.report(&node("a"), Some(vec![out("web-1", 80, 100), other]), now);
    let all = tell(&mut cases, now + SETTLE);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].since, all[0].services.len()), (at(50), 2));
    // One of the ports is back: the Pod is not.
    cases.report(&node("a"), Some(vec![out("web-1", 80, 100)]), now);
    assert_eq!(tell(&mut cases, now + 2 * SETTLE), []);
}

#[test]
fn a_node_that_is_lost_has_no_say() {
    let (mut cases, now) = leading();
    cases.report(&node("a"), Some(vec![out("web-1", 80, 1)]), now);
    assert_eq!(tell(&mut cases, now + SETTLE).len(), 1);
    cases.set_lost([node("a")].into(), now);
    assert_eq!(tell(&mut cases, now + SETTLE)[0].what, What::Returned);
    assert_eq!(cases.count(), 0);
    cases.set_lost(BTreeSet::new(), now);
    assert_eq!(tell(&mut cases, now + SETTLE).len(), 1);
}

#[test]
fn monitors_are_told_of_for_all_nodes() {
    let (mut cases, now) = leading();
    let policy = ObjectName::new("shop", "calm");
    let ejection = Ejection {
        subject: Monitored::Pod("web-1".into(), "uid".into()),
        monitor: "errors".into(),
        message: "5 > 3".into(),
        since: at(7),
    };
    let service = Arc::from("web");
    cases.monitored([(&policy, Some((&service, &[ejection][..])))].into_iter(), now);
    cases.report(&node("a"), Some(vec![out("web-1", 80, 9)]), now);
    let all = tell(&mut cases, now + SETTLE);
    assert_eq!(all.len(), 1);
    let text = all[0].what.to_string();
    assert_eq!(text, "gets no connections from any node: monitor errors: 5 > 3");
    cases.monitored(std::iter::empty(), now);
    assert_eq!(tell(&mut cases, now + SETTLE), []);
    cases.report(&node("a"), None, now);
    assert_eq!(tell(&mut cases, now + SETTLE)[0].what, What::Returned);
}

#[test]
fn nobody_tells_who_does_not_know_what_was_told() {
    let (mut cases, now) = (Cases::default(), Instant::now());
    cases.report(&node("a"), Some(vec![out("web-1", 80, 1)]), now);
    assert_eq!((tell(&mut cases, now + SETTLE), cases.wake()), (vec![], None));
    cases.lead(BTreeMap::new(), now);
    assert_eq!(tell(&mut cases, now + SETTLE).len(), 1);
    cases.report(&node("a"), None, now);
    cases.rest();
    assert_eq!((tell(&mut cases, now + SETTLE), cases.wake()), (vec![], None));
    assert!(cases.cases.is_empty());
}

/// What the Events of one leader say to the next one.
#[test]
fn the_next_leader_knows_from_events_what_was_told() {
    let (mut first, now) = leading();
    first.report(&node("a"), Some(vec![out("web-1", 80, 100), out("web-2", 80, 100)]), now);
    let objects = Objects {
        pod: Some("uid".into()),
        services: [("web".into(), Some("other".into()))].into(),
    };
    let written = |all: &[Telling]| {
        let events = all.iter().flat_map(|one| events(one, &objects, "first", at(105)));
        events.collect::<Vec<_>>()
    };
    let mut all = written(&tell(&mut first, now + SETTLE));
    assert_eq!(all.len(), 4);
    first.report(&node("a"), Some(vec![out("web-1", 80, 100)]), now);
    all.extend(written(&tell(&mut first, now + SETTLE)));
    assert_eq!(all.len(), 6);
    let names: BTreeSet<_> = all.iter().filter_map(|event| event.metadata.name.clone()).collect();
    assert_eq!(names.len(), 6, "{names:?}");

    let mut second = Cases::default();
    // Nodes have moved on meanwhile, and say it in other words.
    second.report(&node("a"), Some(vec![out("web-3", 80, 200)]), now);
    second.report(&node("b"), Some(vec![out("web-1", 80, 180)]), now);
    let before = told(&all);
    assert_eq!(
        before.keys().map(|one| one.endpoint.to_string()).collect::<Vec<_>>(),
        ["Pod web-1"]
    );
    second.lead(before, now);
    let news = tell(&mut second, now + SETTLE);
    let news: Vec<_> =
        news.iter().map(|one| (one.subject.endpoint.to_string(), one.what.reason())).collect();
    assert_eq!(news, [("Pod web-3".to_owned(), "PodEjected")]);
    // What went on is over: it is told as the end of what the first one told.
    second.report(&node("b"), None, now);
    assert_eq!(tell(&mut second, now + SETTLE)[0].since, at(100));
}

#[test]
fn two_who_tell_the_same_have_the_same_names_for_it() {
    let telling = |nodes| Telling {
        subject: Subject {
            namespace: "shop".into(),
            endpoint: Endpoint::Pod("a".repeat(250).into()),
        },
        since: at(5),
        services: [Arc::from("web")].into(),
        what: What::Ejected { nodes, everywhere: false, message: "é".repeat(900).into() },
    };
    let objects = Objects { pod: Some("uid".into()), services: [("web".into(), None)].into() };
    let names = |nodes, instance| {
        let events = events(&telling(nodes), &objects, instance, at(9));
        for event in &events {
            let name = event.metadata.name.as_deref().expect("a name");
            assert!(name.len() <= 253 && event.note.as_deref().expect("a note").len() <= 1024);
        }
        events.into_iter().map(|event| event.metadata.name).collect::<Vec<_>>()
    };
    assert_eq!(names(1, "one"), names(7, "two"));
}
