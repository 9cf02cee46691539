//! Events as the API server takes them, and what they say of what was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};

use super::{Endpoint, Subject, Telling, Told, What};
use crate::NAME;

/// Whom an Event is about, so that the next leader knows what was told.
const ENDPOINT: &str = "etm.dev/endpoint";
/// When the ejection began.
const SINCE: &str = "etm.dev/since";
/// The Services, with commas between.
const SERVICES: &str = "etm.dev/services";

/// Longest note that the API server takes.
const LONGEST_NOTE: usize = 1024;
/// So much of a name, that with what follows it stays one.
const LONGEST_NAME: usize = 220;

/// The objects that a telling is about, as the cluster has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Objects {
    /// UID of the Pod, where it is one.
    pub(super) pod: Option<String>,
    /// The Services, with their UIDs where these are known.
    pub(super) services: BTreeMap<Arc<str>, Option<String>>,
}

/// The Events by which something is told: one on each of its Services, and one on the Pod. That is the
/// last, by which it is told.
pub(super) fn events(
    telling: &Telling,
    objects: &Objects,
    instance: &str,
    now: Timestamp,
) -> Vec<Event> {
    let Telling { subject, services, what, .. } = telling;
    let reference = |kind: &str, name: &Arc<str>, uid: &Option<String>| ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        namespace: Some(subject.namespace.to_string()),
        name: Some(name.to_string()),
        uid: uid.clone(),
        ..ObjectReference::default()
    };
    let pod = match &subject.endpoint {
        Endpoint::Pod(name) => Some(reference("Pod", name, &objects.pod)),
        Endpoint::Address(_) => None,
    };
    let of = objects.services.iter().map(|(name, uid)| reference("Service", name, uid));
    let of: Vec<_> = of.collect();
    let names = services.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    let event = |regarding: &ObjectReference, related: Option<&ObjectReference>, note: String| {
        event(telling, regarding, related, (instance, now), note)
    };
    let on_pod = pod.iter().map(|pod| event(pod, of.first(), format!("{what} (Service {names})")));
    let on_services = of
        .iter()
        .map(|service| event(service, pod.as_ref(), format!("{} {what}", subject.endpoint)));
    on_services.chain(on_pod).collect()
}

fn event(
    telling: &Telling,
    regarding: &ObjectReference,
    related: Option<&ObjectReference>,
    (instance, now): (&str, Timestamp),
    note: String,
) -> Event {
    let Telling { subject, since, services, what } = telling;
    let (Endpoint::Pod(endpoint) | Endpoint::Address(endpoint)) = &subject.endpoint;
    let services = services.iter().map(|name| &**name).collect::<Vec<_>>().join(",");
    let annotations = [(ENDPOINT, &**endpoint), (SINCE, &since.to_string()), (SERVICES, &services)];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Event {
        metadata: ObjectMeta {
            name: Some(name(telling, regarding)),
            namespace: Some(subject.namespace.to_string()),
            annotations: Some(annotations.into()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(NAME.to_owned()),
        reporting_instance: Some(instance.chars().take(128).collect()),
        action: Some(what.action().to_owned()),
        reason: Some(what.reason().to_owned()),
        type_: Some(what.kind().to_owned()),
        regarding: Some(regarding.clone()),
        related: related.cloned(),
        note: Some(cut(note, LONGEST_NOTE)),
        ..Event::default()
    }
}

/// The same for the same ejection, whoever tells of it: the API server has each name once.
fn name(telling: &Telling, regarding: &ObjectReference) -> String {
    let mut hasher = DefaultHasher::new();
    telling.subject.endpoint.to_string().hash(&mut hasher);
    telling.what.reason().hash(&mut hasher);
    telling.since.as_second().hash(&mut hasher);
    (&regarding.kind, &regarding.uid).hash(&mut hasher);
    let of = cut(regarding.name.clone().unwrap_or_default(), LONGEST_NAME);
    // What is cut may end with what no part of a name ends with.
    format!("{}.{:016x}", of.trim_end_matches(['.', '-']), hasher.finish())
}

/// At most so many bytes of a text.
fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// The ejections that Events tell of and of whose end none does.
pub(super) fn told(events: &[Event]) -> BTreeMap<Subject, Told> {
    let mut open = BTreeMap::<Subject, BTreeMap<Timestamp, BTreeSet<Arc<str>>>>::new();
    let mut closed = BTreeSet::new();
    for event in events {
        let Some((subject, since, services)) = read(event) else { continue };
        let returned = What::Returned.reason();
        if event.reason.as_deref() == Some(returned) {
            closed.insert((subject, since));
        } else {
            open.entry(subject).or_default().entry(since).or_default().extend(services);
        }
    }
    let open = open.into_iter().filter_map(|(subject, ejections)| {
        // An earlier one whose end nobody told of is over: there is a later one.
        let (since, services) = ejections.into_iter().next_back()?;
        let over = closed.contains(&(subject.clone(), since));
        (!over).then_some((subject, Told { since, services }))
    });
    open.collect()
}

fn read(event: &Event) -> Option<(Subject, Timestamp, BTreeSet<Arc<str>>)> {
    let annotations = event.metadata.annotations.as_ref()?;
    let endpoint: Arc<str> = annotations.get(ENDPOINT)?.as_str().into();
    let since = annotations.get(SINCE)?.parse().ok()?;
    let services = annotations.get(SERVICES)?.split(',').filter(|name| !name.is_empty());
    let services = services.map(Into::into).collect();
    let is_pod = |object: &ObjectReference| object.kind.as_deref() == Some("Pod");
    let endpoint = match (event.regarding.as_ref(), event.related.as_ref()) {
        (Some(regarding), _) if is_pod(regarding) => Endpoint::Pod(endpoint),
        // Whoever wrote this may have ended before the last one.
        (_, Some(related)) if is_pod(related) => return None,
        _ => Endpoint::Address(endpoint),
    };
    let namespace = event.metadata.namespace.as_deref()?.into();
    Some((Subject { namespace, endpoint }, since, services))
}
