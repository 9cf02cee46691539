//! What Alertmanager sends, and who is out by it; pure.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_model::Alerts;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::{
    judge::Out,
    subject::{Labels, Named, Subject, Subjects},
};

/// Alerts that are remembered of one monitor, at most.
const REMEMBERED: usize = 1_000;
/// Times of the repeat interval after which an alert without a word has ended.
const MISSED: u32 = 2;

/// The body of a webhook, version 4.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// `4`.
    pub version: String,
    /// The alerts of one group.
    pub alerts: Vec<Alert>,
}

/// One alert of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    /// Whether it goes on.
    pub status: AlertStatus,
    /// Its labels.
    pub labels: Labels,
}

/// Whether an alert goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// It does.
    Firing,
    /// It has ended.
    Resolved,
}

/// The alerts of one monitor that go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    firing: BTreeMap<Labels, Instant>,
    /// Those who were out when this process took over, each until an alert names him.
    inherited: BTreeMap<Subject, Instant>,
    /// Labels of alerts that have ended since.
    ended: Vec<Labels>,
    pub(crate) out: BTreeMap<Subject, Out>,
    /// Some were forgotten since nothing was heard of them.
    pub(crate) missed: bool,
    /// Some name nobody.
    pub(crate) nameless: bool,
}

impl Book {
    /// One that has taken over those who are out, at this time.
    pub(crate) fn heir(out: BTreeMap<Subject, Out>, now: Instant) -> Self {
        let inherited = out.keys().map(|subject| (subject.clone(), now)).collect();
        Self { inherited, out, ..Self::default() }
    }

    /// When the first of them is forgotten.
    pub(crate) fn expiry(&self, alerts: &Alerts) -> Option<Instant> {
        let heard = self.firing.values().chain(self.inherited.values()).min();
        heard.map(|heard| *heard + patience(alerts))
    }

    /// Takes in an alert; says whether it is one of these.
    pub(crate) fn hear(&mut self, alerts: &Alerts, alert: &Alert, now: Instant) -> bool {
        let has = |(name, value): &(Arc<str>, Arc<str>)| {
            alert.labels.get(&**name).map(String::as_str).unwrap_or_default() == &**value
        };
        if !alerts.matchers.iter().all(has) {
            return false;
        }
        self.missed = false;
        match alert.status {
            AlertStatus::Firing => {
                if self.firing.len() < REMEMBERED || self.firing.contains_key(&alert.labels) {
                    self.firing.insert(alert.labels.clone(), now);
                }
            }
            AlertStatus::Resolved => {
                self.firing.remove(&alert.labels);
                // Only they can be meant: of the others it is known who fires.
                if self.inherited.is_empty() {
                    return true;
                }
                self.ended.push(alert.labels.clone());
            }
        }
        true
    }

    /// Lets all return of whom nothing was heard for too long; says whether there were any. It asks
    /// for no endpoints, so that it holds while they cannot be listed.
    pub(crate) fn expire(&mut self, alerts: &Alerts, now: Instant) -> bool {
        let missed = self.forget(alerts, now);
        if self.firing.is_empty() && self.inherited.is_empty() {
            self.out.clear();
        }
        missed
    }

    fn forget(&mut self, alerts: &Alerts, now: Instant) -> bool {
        let patience = patience(alerts);
        let known = self.firing.len() + self.inherited.len();
        self.firing.retain(|_, heard| now.duration_since(*heard) < patience);
        self.inherited.retain(|_, heard| now.duration_since(*heard) < patience);
        let missed = self.firing.len() + self.inherited.len() < known;
        self.missed |= missed;
        missed
    }

    /// Forgets what was not repeated, and says who is out.
    pub(crate) fn settle(
        &mut self,
        alerts: &Alerts,
        subjects: &Subjects,
        now: Instant,
        time: Timestamp,
    ) {
        self.forget(alerts, now);
        let before = std::mem::take(&mut self.out);
        let mut out = BTreeMap::new();
        self.nameless = false;
        for labels in self.firing.keys() {
            match subjects.named(labels) {
                Named::Subject(subject) => {
                    self.inherited.remove(&subject);
                    let message = message(labels);
                    let kept = before.get(&subject).cloned();
                    let new = || Out::new(message.into(), time);
                    out.entry(subject).or_insert_with(|| kept.unwrap_or_else(new));
                }
                Named::Nobody => self.nameless = true,
                Named::Other => {}
            }
        }
        let ended: Vec<_> = self.ended.drain(..).map(|labels| subjects.named(&labels)).collect();
        self.inherited.retain(|subject, _| {
            let known = subjects.known(subject).map(Named::Subject);
            known.is_some_and(|known| !ended.contains(&known))
        });
        for subject in self.inherited.keys() {
            if let (Some(known), Some(kept)) = (subjects.known(subject), before.get(subject)) {
                out.entry(known).or_insert_with(|| kept.clone());
            }
        }
        self.out = out;
    }
}

fn patience(alerts: &Alerts) -> Duration {
    alerts.repeat * MISSED
}

fn message(labels: &Labels) -> String {
    let name = labels.get("alertname").map_or("an alert", String::as_str);
    format!("{name} is firing")
}

#[cfg(test)]
mod tests;
