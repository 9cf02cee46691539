//! What this node has taken out of service by itself, for the cluster to see.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use etm_api::{MAX_REPORTED, NodeReportSpec, ReportedEndpoint};
use etm_dataplane::monotonic;
use etm_health::{Held, Reason, State, Tracker, Verdict, Why};
use etm_model::{BackendKey, Ledger};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::Verdicts;

impl Verdicts {
    /// What is out, where it is not what this last returned.
    pub(in crate::agent) fn news(&mut self) -> Option<NodeReportSpec> {
        self.reported.news()
    }
}

/// The endpoints that are out by what this node found.
pub(super) struct Reported {
    /// Ordered by how long they have been out: what comes later moves nothing that is listed.
    out: BTreeMap<(Duration, BackendKey), ReportedEndpoint>,
    since: BTreeMap<BackendKey, Duration>,
    /// What time it was when [`monotonic`] was zero; taken once, so that no time changes by itself.
    epoch: SystemTime,
    told: Option<NodeReportSpec>,
    changed: bool,
}

impl Default for Reported {
    fn default() -> Self {
        let epoch = SystemTime::now() - monotonic();
        Self { out: BTreeMap::new(), since: BTreeMap::new(), epoch, told: None, changed: true }
    }
}

impl Reported {
    /// Looks at those whose verdicts may be others.
    pub(super) fn follow(
        &mut self,
        tracker: &Tracker,
        judged: impl IntoIterator<Item = BackendKey>,
        ledger: &Ledger,
    ) {
        let now = monotonic();
        for key in judged {
            let verdict = tracker.verdict(now, &key).filter(|_| ledger.backend(&key).is_some());
            let found = verdict.as_ref().and_then(|verdict| Some((verdict, own(verdict)?)));
            let new = found.map(|(verdict, held)| {
                let since = now.saturating_sub(held.since);
                (since, self.endpoint(now, since, verdict, held))
            });
            self.set(key, new);
        }
    }

    fn set(&mut self, key: BackendKey, new: Option<(Duration, ReportedEndpoint)>) {
        let since = self.since.get(&key).copied();
        if let Some((since, (again, endpoint))) = since.zip(new.as_ref())
            && since == *again
            && self.out.get(&(since, key)) == Some(endpoint)
        {
            return;
        }
        let before = self.since.remove(&key).and_then(|since| self.out.remove(&(since, key)));
        self.changed |= before.is_some() || new.is_some();
        if let Some((since, endpoint)) = new {
            self.since.insert(key, since);
            self.out.insert((since, key), endpoint);
        }
    }

    fn endpoint(
        &self,
        now: Duration,
        since: Duration,
        verdict: &Verdict,
        held: &Held,
    ) -> ReportedEndpoint {
        let BackendKey { ip, port, protocol } = verdict.backend;
        let mut services: Vec<_> =
            verdict.services.iter().map(|port| port.service.name.to_string()).collect();
        services.dedup();
        let service = verdict.services.first();
        let namespace = service.map(|port| port.service.namespace.to_string()).unwrap_or_default();
        ReportedEndpoint {
            namespace,
            pod: verdict.pod.as_ref().map(|pod| pod.name.to_string()),
            address: ip.to_string(),
            port,
            protocol: protocol.to_string(),
            services,
            state: if verdict.state == State::Ejected { "Ejected" } else { "Probation" }.to_owned(),
            reason: reason(&held.reason).to_owned(),
            message: held.reason.to_string(),
            since: self.time(since),
            until: verdict.returns.map(|left| self.time(now + left)),
        }
    }

    /// To the second, as times of objects are.
    fn time(&self, monotonic: Duration) -> Time {
        let since = (self.epoch + monotonic).duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Time(Timestamp::from_second(seconds.cast_signed()).unwrap_or_default())
    }

    fn news(&mut self) -> Option<NodeReportSpec> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let ejected: Vec<_> = self.out.values().take(MAX_REPORTED).cloned().collect();
        let more = u32::try_from(self.out.len() - ejected.len()).unwrap_or(u32::MAX);
        let report = NodeReportSpec { ejected, more };
        (self.told.as_ref() != Some(&report)).then(|| self.told.insert(report).clone())
    }
}

/// What this node itself found that takes a backend out; of nodes and monitors the controller knows.
fn own(verdict: &Verdict) -> Option<&Held> {
    if !matches!(verdict.state, State::Ejected | State::Probation) {
        return None;
    }
    let found = |held: &&Held| {
        let own = matches!(held.reason, Reason::Probe { .. } | Reason::Found | Reason::Passive(_));
        own && held.reason.ejects()
    };
    verdict.reasons.iter().find(found)
}

fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::Probe { .. } => "ProbesFail",
        Reason::Found | Reason::Passive(Why::Before) => "Unknown",
        _ => "ConnectionsFail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16, message: &str) -> ReportedEndpoint {
        ReportedEndpoint {
            namespace: "shop".into(),
            pod: None,
            address: "10.0.0.1".into(),
            port,
            protocol: "TCP".into(),
            services: vec!["web".into()],
            state: "Ejected".into(),
            reason: "ConnectionsFail".into(),
            message: message.into(),
            since: Time(Timestamp::UNIX_EPOCH),
            until: None,
        }
    }

    fn key(port: u16) -> BackendKey {
        let ip = [10, 0, 0, 1].into();
        BackendKey { ip, port, protocol: etm_model::Protocol::Tcp }
    }

    #[test]
    fn the_first_report_says_all_even_nothing_and_then_only_what_is_new() {
        let mut reported = Reported::default();
        assert_eq!(reported.news(), Some(NodeReportSpec::default()));
        assert_eq!(reported.news(), None);
        let out = |message| Some((Duration::from_secs(5), endpoint(1, message)));
        reported.set(key(1), out("a"));
        assert_eq!(reported.news().map(|report| report.ejected.len()), Some(1));
        reported.set(key(1), out("a"));
        assert_eq!(reported.news(), None);
        reported.set(key(1), out("b"));
        assert_eq!(reported.news().map(|report| report.ejected), Some(vec![endpoint(1, "b")]));
        // There and back again is nothing new.
        reported.set(key(1), None);
        reported.set(key(1), out("b"));
        assert_eq!(reported.news(), None);
        reported.set(key(1), None);
        assert_eq!(reported.news(), Some(NodeReportSpec::default()));
    }

    #[test]
    fn a_report_is_of_bounded_length_and_who_is_out_for_longest_stays_in_it() {
        let mut reported = Reported::default();
        let most = u16::try_from(MAX_REPORTED).unwrap();
        for port in 1..=most + 10 {
            let since = Duration::from_secs(u64::from(1000 - port));
            reported.set(key(port), Some((since, endpoint(port, "a"))));
        }
        let report = reported.news().unwrap();
        assert_eq!((report.ejected.len(), report.more), (MAX_REPORTED, 10));
        assert_eq!(report.ejected[0], endpoint(most + 10, "a"));
    }
}
