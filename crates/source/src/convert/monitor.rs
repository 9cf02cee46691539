//! Monitors, checked as their schema checks them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use etm_api as api;
use etm_model::{Alerts, Bad, Monitor, MonitorSource, Query};
use kube::core::Duration as Given;

use super::report::Report;

/// Monitors of a policy, matchers of alerts, results that count, characters of a query: at most.
const MONITORS: usize = 8;
const MATCHERS: usize = 16;
const RESULTS: i32 = 100;
const QUERY: usize = 4096;

const SECOND: Duration = Duration::from_secs(1);

/// Checks what monitors say; tells of all that is wrong, below a field, with what it means there.
pub(super) struct Check<'a> {
    pub(super) report: &'a mut Report,
    pub(super) hint: fn(&str) -> String,
}

impl Check<'_> {
    /// The monitors of a policy.
    pub(super) fn monitors(&mut self, given: &[api::PodMonitor]) -> Arc<[Monitor]> {
        const FIELD: &str = "spec.monitors";
        if given.len() > MONITORS {
            let reason = format!("has {} monitors, more than {MONITORS}", given.len());
            self.tell(FIELD, reason, "join queries by `or`");
            return Arc::default();
        }
        let mut names = BTreeSet::new();
        let monitors = given.iter().enumerate().filter_map(|(i, monitor)| {
            let field = format!("{FIELD}[{i}]");
            let api::PodMonitor { name, prometheus, alertmanager } = monitor;
            if name.is_empty() {
                self.tell(&format!("{field}.name"), "is empty", "give the monitor a name");
            } else if !names.insert(name.as_str()) {
                let reason = format!("`{name}` is listed before");
                self.tell(&format!("{field}.name"), reason, "give each monitor its own name");
            }
            self.monitor(&field, name, prometheus.as_ref(), alertmanager.as_ref())
        });
        monitors.collect()
    }

    /// One monitor, whose fields are below this one.
    pub(super) fn monitor(
        &mut self,
        field: &str,
        name: &str,
        prometheus: Option<&api::PrometheusQuery>,
        alertmanager: Option<&api::AlertmanagerAlerts>,
    ) -> Option<Monitor> {
        let source = match (prometheus, alertmanager) {
            (Some(given), None) => {
                MonitorSource::Prometheus(self.query(&format!("{field}.prometheus"), given)?)
            }
            (None, Some(given)) => {
                MonitorSource::Alertmanager(self.alerts(&format!("{field}.alertmanager"), given))
            }
            (Some(_), Some(_)) => {
                let hint = "make two monitors of it, or take one away";
                self.tell(field, "has both prometheus and alertmanager", hint);
                return None;
            }
            (None, None) => {
                self.tell(field, "has neither prometheus nor alertmanager", "add one of them");
                return None;
            }
        };
        Some(Monitor { name: name.into(), source })
    }

    fn query(&mut self, field: &str, given: &api::PrometheusQuery) -> Option<Query> {
        let text = given.query.as_str();
        if text.is_empty() || text.chars().count() > QUERY {
            let reason = format!("is not within 1 and {QUERY} characters");
            let hint = "put a longer query into a recording rule of Prometheus";
            self.tell(&format!("{field}.query"), reason, hint);
        }
        let threshold = given.threshold.parse().ok();
        let bad = threshold.and_then(match given.operator {
            api::Operator::GreaterThan => Bad::greater_than,
            api::Operator::LessThan => Bad::less_than,
        });
        if bad.is_none() {
            let reason = format!("`{}` is no number", given.threshold);
            self.tell(&format!("{field}.threshold"), reason, "write it as \"0.05\"");
        }
        let hour = 3600 * SECOND;
        let interval = self.within(&format!("{field}.interval"), given.interval, SECOND, hour);
        let least = Duration::from_millis(100);
        let timeout = self.within(&format!("{field}.timeout"), given.timeout, least, 60 * SECOND);
        let hold = self.within(&format!("{field}.holdTime"), given.hold_time, Duration::ZERO, hour);
        let consecutive = self.count(&format!("{field}.consecutive"), given.consecutive);
        let recovery = self.count(&format!("{field}.recovery"), given.recovery);
        Some(Query {
            text: text.into(),
            bad: bad?,
            interval,
            timeout: timeout.min(interval),
            consecutive,
            recovery,
            hold,
        })
    }

    fn alerts(&mut self, field: &str, given: &api::AlertmanagerAlerts) -> Alerts {
        let matchers = format!("{field}.matchers");
        if given.matchers.is_empty() || given.matchers.len() > MATCHERS {
            let reason = format!("has {} labels, not 1 to {MATCHERS}", given.matchers.len());
            self.tell(&matchers, reason, "name at least alertname");
        }
        let mut names = BTreeSet::new();
        for (i, matcher) in given.matchers.iter().enumerate() {
            let field = format!("{matchers}[{i}].name");
            if matcher.name.is_empty() {
                self.tell(&field, "is empty", "name a label of the alert");
            } else if !names.insert(&matcher.name) {
                let reason = format!("`{}` is listed before", matcher.name);
                self.tell(&field, reason, "name each label once");
            }
        }
        let pair = |given: &api::Matcher| (given.name.as_str().into(), given.value.as_str().into());
        let day = 86_400 * SECOND;
        let repeat = format!("{field}.repeatInterval");
        let repeat = self.within(&repeat, given.repeat_interval, 5 * SECOND, day);
        Alerts { matchers: given.matchers.iter().map(pair).collect(), repeat }
    }

    fn within(&mut self, field: &str, given: Given, least: Duration, most: Duration) -> Duration {
        let duration = Duration::from(given);
        if given.is_negative() || duration < least || duration > most {
            let reason = format!("{given} is not within {least:?} and {most:?}");
            self.tell(field, reason, "correct it");
        }
        duration
    }

    fn count(&mut self, field: &str, given: i32) -> u32 {
        match u32::try_from(given) {
            Ok(count) if (1..=RESULTS).contains(&given) => count,
            _ => {
                let reason = format!("{given} is not within 1 and {RESULTS}");
                self.tell(field, reason, "correct it");
                1
            }
        }
    }

    fn tell(&mut self, field: &str, reason: impl Into<String>, hint: &str) {
        self.report.add(field, reason, (self.hint)(hint));
    }
}
