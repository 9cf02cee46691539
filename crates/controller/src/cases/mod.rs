//! Who is out, by whose word, and what of that the cluster was told; pure.

mod event;
mod telling;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use etm_api::ReportedEndpoint;
use etm_model::ObjectName;
use etm_monitor::{Ejection, Subject as Monitored};
use k8s_openapi::jiff::Timestamp;

pub use telling::{Telling, What};
pub use write::{read_told, tell};

/// How long what is new is waited with: many nodes see a fault within some seconds, and what is over
/// sooner is not worth a word.
const SETTLE: Duration = Duration::from_secs(4);

/// An endpoint of Services of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The namespace.
    pub namespace: Arc<str>,
    /// Which.
    pub endpoint: Endpoint,
}

/// An endpoint, whatever its ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A Pod, by its name.
    Pod(Arc<str>),
    /// One that is no Pod, by its address.
    Address(Arc<str>),
}

/// By whose word somebody is out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The agent of a node.
    Node(Arc<str>),
    /// The monitors of a policy.
    Policy(ObjectName),
}

/// What one source says of a subject.
#[derive(Clone, Debug, PartialEq)]
struct Sighting {
    services: BTreeSet<Arc<str>>,
    message: Arc<str>,
    since: Timestamp,
}

/// An ejection that the cluster was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its beginning, which names it.
    pub since: Timestamp,
    /// The Services that it was told of.
    pub services: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Case {
    sightings: BTreeMap<Source, Sighting>,
    told: Option<Told>,
    due: Option<Instant>,
}

/// All endpoints that are out, and those that the cluster takes to be.
#[derive(Debug, Default)]
pub struct Cases {
    cases: BTreeMap<Subject, Case>,
    sources: BTreeMap<Source, BTreeSet<Subject>>,
    /// Nodes whose word does not count: nobody there may be left to take it back.
    lost: BTreeSet<Arc<str>>,
    queue: BTreeSet<(Instant, Subject)>,
    /// Whether it is known what was told; nothing is told before.
    leads: bool,
}

impl Cases {
    /// Takes in what a node has reported; none where its report is gone.
    pub fn report(
        &mut self,
        node: &Arc<str>,
        ejected: Option<Vec<ReportedEndpoint>>,
        now: Instant,
    ) {
        let mut found = BTreeMap::<_, Sighting>::new();
        for endpoint in ejected.unwrap_or_default() {
            let (subject, sighting) = sighting(endpoint);
            match found.get_mut(&subject) {
                Some(known) => {
                    known.services.extend(sighting.services);
                    if sighting.since < known.since {
                        (known.since, known.message) = (sighting.since, sighting.message);
                    }
                }
                None => drop(found.insert(subject, sighting)),
            }
        }
        self.update(&Source::Node(Arc::clone(node)), found, now);
    }

    /// Takes in who is out by all policies' monitors: by the policy's name, with its Service; or none
    /// where that stays as it was.
    pub fn monitored<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a ObjectName, Option<(&'a Arc<str>, &'a [Ejection])>)>,
        now: Instant,
    ) {
        let policies = self.sources.keys().filter(|source| matches!(source, Source::Policy(_)));
        let mut gone: BTreeSet<_> = policies.cloned().collect();
        for (policy, said) in all {
            let source = Source::Policy(policy.clone());
            gone.remove(&source);
            let Some((service, ejected)) = said else { continue };
            let found = ejected.iter().filter_map(|ejection| by_monitor(policy, service, ejection));
            self.update(&source, found.collect(), now);
        }
        for source in gone {
            self.update(&source, BTreeMap::new(), now);
        }
    }

    /// Takes in which nodes do not work: what they reported last does not count.
    pub fn set_lost(&mut self, lost: BTreeSet<Arc<str>>, now: Instant) {
        let changed: Vec<_> = self.lost.symmetric_difference(&lost).map(Arc::clone).collect();
        self.lost = lost;
        for node in changed {
            for subject in self.sources.get(&Source::Node(node)).cloned().into_iter().flatten() {
                self.settle(&subject, now);
            }
        }
    }

    /// Begins to tell, this being what was told before.
    pub fn lead(&mut self, told: BTreeMap<Subject, Told>, now: Instant) {
        self.leads = true;
        for (subject, told) in told {
            self.cases.entry(subject).or_default().told = Some(told);
        }
        for subject in self.cases.keys().cloned().collect::<Vec<_>>() {
            self.settle(&subject, now);
        }
    }

    /// Tells no more: somebody else does.
    pub fn rest(&mut self) {
        self.leads = false;
        self.queue.clear();
        self.cases.retain(|_, case| {
            (case.told, case.due) = (None, None);
            !case.sightings.is_empty()
        });
    }

    fn update(&mut self, source: &Source, found: BTreeMap<Subject, Sighting>, now: Instant) {
        let new: BTreeSet<_> = found.keys().cloned().collect();
        let before = if new.is_empty() {
            self.sources.remove(source)
        } else {
            self.sources.insert(source.clone(), new)
        };
        let before = before.unwrap_or_default();
        for subject in before.iter().filter(|subject| !found.contains_key(subject)) {
            if let Some(case) = self.cases.get_mut(subject) {
                case.sightings.remove(source);
            }
            self.settle(subject, now);
        }
        for (subject, sighting) in found {
            let case = self.cases.entry(subject.clone()).or_default();
            case.sightings.insert(source.clone(), sighting);
            self.settle(&subject, now);
        }
    }

    /// Sees to it that the subject is told of if there is something to tell, and forgets it if there
    /// is nothing left.
    fn settle(&mut self, subject: &Subject, now: Instant) {
        let Self { cases, lost, queue, leads, .. } = self;
        let Some(case) = cases.get_mut(subject) else { return };
        let news = *leads && case.counting(lost).next().is_some() != case.told.is_some();
        match (news, case.due) {
            (true, None) => {
                let due = now + SETTLE;
                case.due = Some(due);
                queue.insert((due, subject.clone()));
            }
            (false, Some(due)) => {
                case.due = None;
                queue.remove(&(due, subject.clone()));
            }
            _ => {}
        }
        if case.sightings.is_empty() && case.told.is_none() {
            cases.remove(subject);
        }
    }

    /// When there is something to tell, at the earliest.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Something to tell; none where all was told.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Telling> {
        let (_, subject) = self.queue.first().filter(|(due, _)| *due <= now)?;
        let case = self.cases.get(subject)?;
        let first = case.counting(&self.lost).min_by_key(|(_, sighting)| sighting.since);
        let subject = subject.clone();
        Some(match (first, &case.told) {
            (Some((_, first)), _) => {
                let counting = || case.counting(&self.lost);
                let nodes = counting().filter(|(source, _)| matches!(source, Source::Node(_)));
                let nodes = nodes.count();
                let everywhere = counting().count() > nodes;
                let services = counting().flat_map(|(_, sighting)| &sighting.services).cloned();
                let services = services.collect();
                let what = What::Ejected { nodes, everywhere, message: Arc::clone(&first.message) };
                Telling { subject, since: first.since, services, what }
            }
            (None, Some(told)) => {
                let (since, services) = (told.since, told.services.clone());
                Telling { subject, since, services, what: What::Returned }
            }
            (None, None) => return None,
        })
    }

    /// Takes note that something was told, or need not be any more.
    pub fn note(&mut self, telling: &Telling, now: Instant) {
        let Some(case) = self.cases.get_mut(&telling.subject) else { return };
        if let Some(due) = case.due.take() {
            self.queue.remove(&(due, telling.subject.clone()));
        }
        let Telling { since, services, .. } = telling;
        case.told = match telling.what {
            What::Ejected { .. } => Some(Told { since: *since, services: services.clone() }),
            What::Returned => None,
        };
        self.settle(&telling.subject, now);
    }

    /// How many endpoints are out.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cases.values().filter(|case| case.counting(&self.lost).next().is_some()).count()
    }
}

impl Case {
    /// What counts of what is said.
    fn counting<'a>(
        &'a self,
        lost: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = (&'a Source, &'a Sighting)> {
        self.sightings.iter().filter(|(source, _)| match source {
            Source::Node(node) => !lost.contains(node),
            Source::Policy(_) => true,
        })
    }
}

fn sighting(endpoint: ReportedEndpoint) -> (Subject, Sighting) {
    let name = match endpoint.pod {
        Some(pod) => Endpoint::Pod(pod.into()),
        None => Endpoint::Address(endpoint.address.into()),
    };
    let subject = Subject { namespace: endpoint.namespace.into(), endpoint: name };
    let services = endpoint.services.into_iter().map(Into::into).collect();
    let (message, since) = (endpoint.message.into(), endpoint.since.0);
    (subject, Sighting { services, message, since })
}

fn by_monitor(
    policy: &ObjectName,
    service: &Arc<str>,
    ejection: &Ejection,
) -> Option<(Subject, Sighting)> {
    let endpoint = match &ejection.subject {
        Monitored::Pod(name, _) => Endpoint::Pod(Arc::clone(name)),
        Monitored::Address(address) => Endpoint::Address(address.to_string().into()),
        Monitored::Node(_) => return None,
    };
    let subject = Subject { namespace: Arc::clone(&policy.namespace), endpoint };
    let message = format!("monitor {}: {}", ejection.monitor, ejection.message).into();
    let services = [Arc::clone(service)].into();
    Some((subject, Sighting { services, message, since: ejection.since }))
}

#[cfg(test)]
mod tests;
