//! All monitors: whom to ask when, what was said, and who is out; pure.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_model::{Monitor, MonitorSource, ObjectName, Query};
use k8s_openapi::jiff::Timestamp;
use thiserror::Error;

use crate::{
    alerts::{Book, Notification},
    answer::{Sample, Unusable},
    judge::{Judge, Out},
    subject::{Ejection, Subject, Subjects},
};

/// How often it is looked who the alerts that go on are about: endpoints come and go.
const LOOK: Duration = Duration::from_secs(10);

/// Whom a monitor is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The Pods of a policy's Service: the policy, and the name of the Service.
    Policy(ObjectName, Arc<str>),
    /// The nodes of the cluster.
    Nodes,
}

/// One monitor of one scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Whom it is about.
    pub scope: Scope,
    /// Its name.
    pub name: Arc<str>,
}

/// What is to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// For which monitor.
    pub key: Key,
    /// The query; for alerts it is enough to know the endpoints.
    pub query: Option<Query>,
}

/// Whether a monitor's answers can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None has come yet.
    Pending,
    /// They can.
    Reachable,
    /// They cannot; what was ejected stays so for the hold time.
    Failing(Trouble),
}

/// Why a monitor says nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Trouble {
    /// The controller was not told where it is.
    #[error("{0}")]
    NotConfigured(&'static str),
    /// It does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// It answers what cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The endpoints of the Service could not be listed.
    #[error("the endpoints of the Service are not known: {0}")]
    Endpoints(String),
    /// An alert was not repeated in time.
    #[error(
        "an alert was not repeated within twice repeatInterval and counts as ended; set \
         repeatInterval to the repeat_interval of Alertmanager's route, or to its group_interval \
         where that is longer"
    )]
    NotRepeated,
    /// An alert names nobody.
    #[error("an alert has no label that names a {0}; keep that label in the alert's expression")]
    Nameless(&'static str),
}

impl Trouble {
    /// One word for a condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotConfigured(_) => "NotConfigured",
            Self::Unreachable(_) | Self::Endpoints(_) => "Unreachable",
            Self::Unusable(_) | Self::Nameless(_) => "Unusable",
            Self::NotRepeated => "NotRepeated",
        }
    }
}

/// All monitors of a cluster, as the process knows them that asks them.
#[derive(Debug, Default)]
pub struct Monitors {
    known: BTreeMap<Key, Known>,
}

#[derive(Debug)]
struct Known {
    monitor: Monitor,
    state: State,
    standing: Standing,
    /// When to ask next; none while an answer is waited for, or there is nothing to ask.
    due: Option<Instant>,
    /// Whether it is to be asked again as soon as the answer is there.
    again: bool,
}

#[derive(Debug)]
enum State {
    Query(Judge),
    Alerts(Book),
}

impl Monitors {
    /// Replaces the monitors of a scope. A new one takes over who is out by that name in `written`,
    /// which is what this process, or the one before it, has told the cluster.
    pub fn set(&mut self, scope: &Scope, monitors: &[Monitor], written: &[Ejection], now: Instant) {
        if let Scope::Policy(policy, _) = scope {
            let others = |key: &Key| matches!(&key.scope, Scope::Policy(name, _) if name == policy);
            self.known.retain(|key, _| key.scope == *scope || !others(key));
        }
        self.known.retain(|key, known| key.scope != *scope || monitors.contains(&known.monitor));
        for monitor in monitors {
            let key = Key { scope: scope.clone(), name: Arc::clone(&monitor.name) };
            self.known.entry(key).or_insert_with_key(|key| {
                let own = written.iter().filter(|ejection| ejection.monitor == monitor.name);
                let out: BTreeMap<Subject, Out> = own
                    .map(|own| (own.subject.clone(), Out::new(own.message.clone(), own.since)))
                    .collect();
                Known::new(key, monitor.clone(), out, now)
            });
        }
    }

    /// Forgets a policy's monitors under whatever Service.
    pub fn remove(&mut self, policy: &ObjectName) {
        self.known.retain(|key, _| !matches!(&key.scope, Scope::Policy(name, _) if name == policy));
    }

    /// What is to be asked for now; its answer must be given to [`Monitors::take`].
    pub fn ask(&mut self, now: Instant) -> Option<Asked> {
        let due = |known: &Known| known.due.is_some_and(|due| due <= now);
        let (key, known) = self.known.iter_mut().find(|(_, known)| due(known))?;
        known.due = None;
        let query = match &known.monitor.source {
            MonitorSource::Prometheus(query) => Some(query.clone()),
            MonitorSource::Alertmanager(_) => None,
        };
        Some(Asked { key: key.clone(), query })
    }

    /// When something is to be done next, if ever.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.known.values().flat_map(|known| [known.due, known.expiry()]).flatten().min()
    }

    /// Takes in an answer: who there is, and what the query gave.
    pub fn take(
        &mut self,
        asked: &Asked,
        answer: Result<(Subjects, Vec<Sample>), Trouble>,
        now: Instant,
        time: Timestamp,
    ) {
        let Some(known) = self.known.get_mut(&asked.key) else { return };
        let standing = match (&known.monitor.source, &mut known.state) {
            (MonitorSource::Prometheus(query), State::Query(judge)) => {
                known.due = Some(now + query.interval);
                // It may have been replaced meanwhile.
                if asked.query.as_ref() != Some(query) {
                    return;
                }
                let taken = answer.and_then(|(subjects, samples)| {
                    Ok(judge.take(query, &subjects, &samples, now, time)?)
                });
                taken.map_or_else(Standing::Failing, |()| Standing::Reachable)
            }
            (MonitorSource::Alertmanager(alerts), State::Alerts(book)) => {
                let again = std::mem::take(&mut known.again);
                known.due = Some(if again { now } else { now + LOOK });
                match answer {
                    Ok((subjects, _)) => {
                        book.settle(alerts, &subjects, now, time);
                        if book.nameless {
                            Standing::Failing(Trouble::Nameless(subjects.label()))
                        } else if book.missed {
                            Standing::Failing(Trouble::NotRepeated)
                        } else {
                            Standing::Reachable
                        }
                    }
                    Err(trouble) => Standing::Failing(trouble),
                }
            }
            _ => return,
        };
        known.standing = standing;
    }

    /// Takes in what Alertmanager has sent.
    pub fn hear(&mut self, notification: &Notification, now: Instant) {
        for known in self.known.values_mut() {
            let (MonitorSource::Alertmanager(alerts), State::Alerts(book)) =
                (&known.monitor.source, &mut known.state)
            else {
                continue;
            };
            let heard = notification.alerts.iter().filter(|a| book.hear(alerts, a, now)).count();
            if heard > 0 {
                known.again = known.due.is_none();
                known.due = known.due.map(|_| now);
            }
        }
    }

    /// Lets those return of whom nothing usable was heard for too long.
    pub fn expire(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            if known.expiry().is_none_or(|expiry| expiry > now) {
                continue;
            }
            let missed = match (&known.monitor.source, &mut known.state) {
                (MonitorSource::Prometheus(query), State::Query(judge)) => {
                    judge.expire(query, now);
                    false
                }
                (MonitorSource::Alertmanager(alerts), State::Alerts(book)) => {
                    book.expire(alerts, now)
                }
                _ => false,
            };
            if missed {
                known.standing = Standing::Failing(Trouble::NotRepeated);
            }
        }
    }

    /// Who is out in a scope, ordered.
    #[must_use]
    pub fn ejected(&self, scope: &Scope) -> Vec<Ejection> {
        let own = self.known.iter().filter(|(key, _)| key.scope == *scope);
        let out = own.flat_map(|(key, known)| {
            known.out().iter().map(|(subject, out)| Ejection {
                subject: subject.clone(),
                monitor: Arc::clone(&key.name),
                message: Arc::clone(&out.message),
                since: out.since,
            })
        });
        out.collect()
    }

    /// How each monitor of a scope stands, ordered by their names.
    pub fn standings(&self, scope: &Scope) -> impl Iterator<Item = (&Arc<str>, &Standing)> {
        let own = self.known.iter().filter(move |(key, _)| key.scope == *scope);
        own.map(|(key, known)| (&key.name, &known.standing))
    }

    /// How each monitor stands, ordered.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Standing)> {
        self.known.iter().map(|(key, known)| (key, &known.standing))
    }

    /// How many Pods are out, once for each monitor.
    #[must_use]
    pub fn pods(&self) -> usize {
        let own = self.known.iter().filter(|(key, _)| key.scope != Scope::Nodes);
        own.map(|(_, known)| known.out().len()).sum()
    }

    /// How many there are, and how many of them say nothing.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let failing = |known: &&Known| matches!(known.standing, Standing::Failing(_));
        (self.known.len(), self.known.values().filter(failing).count())
    }
}

impl Known {
    fn new(key: &Key, monitor: Monitor, out: BTreeMap<Subject, Out>, now: Instant) -> Self {
        let (state, due) = match &monitor.source {
            MonitorSource::Prometheus(query) => {
                // Those that are made together are not asked together.
                let name = format!("{key:?}");
                let part = etm_model::hash(&name) % 1000;
                let phase = query.interval * u32::try_from(part).unwrap_or_default() / 1000;
                (State::Query(Judge::heir(out, now)), now + phase)
            }
            MonitorSource::Alertmanager(_) => (State::Alerts(Book::heir(out, now)), now),
        };
        Self { monitor, state, standing: Standing::Pending, due: Some(due), again: false }
    }

    fn out(&self) -> &BTreeMap<Subject, Out> {
        match &self.state {
            State::Query(judge) => &judge.out,
            State::Alerts(book) => &book.out,
        }
    }

    fn expiry(&self) -> Option<Instant> {
        match (&self.monitor.source, &self.state) {
            (MonitorSource::Prometheus(query), State::Query(judge)) => judge.expiry(query),
            (MonitorSource::Alertmanager(alerts), State::Alerts(book)) => book.expiry(alerts),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
