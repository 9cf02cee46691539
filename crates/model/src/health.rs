//! When a backend is taken for broken, and how it comes back: `TrafficPolicy.spec.health`, reduced
//! to what a verdict can depend on.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::Serialize;

/// What a `TrafficPolicy` says of the health of a Service's backends; its [`Default`] counts where
/// no policy says anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthPolicy {
    /// `passive`: what connections tell; none where `passive.enabled` is false.
    pub passive: Option<Passive>,
    /// `ejectionTime`: how long a backend is out the first time; so many times longer as it has
    /// been ejected. More than zero.
    pub ejection_time: Duration,
    /// `maxEjectionTime`: the longest; at least [`HealthPolicy::ejection_time`].
    pub max_ejection_time: Duration,
    /// `maxEjectedPercent`: the largest share of a Service's backends that may be out at once. The
    /// last usable one is spared below 100.
    pub max_ejected_percent: Percent,
    /// `probation`: how one comes back.
    pub probation: Probation,
    /// `probe`: what this node asks of each backend; none asks nothing.
    pub probe: Option<Probe>,
}

/// `health.passive`: what the connections of a node tell of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Passive {
    /// `consecutiveFailures`: so many in a row eject, 1 to 100.
    pub consecutive_failures: u8,
    /// `failureShare`: a larger share of the latest connections that failed ejects.
    pub failure_share: FailureShare,
    /// `synRetransmits`: a connection counts as failed once its SYN was repeated so often, 1 to 6.
    pub syn_retransmits: u8,
    /// `replyTimeout`, where `repliesExpected` is true: a UDP flow without a reply for so long counts
    /// as failed. Within [`Passive::REPLY_TIMEOUT`].
    pub reply_timeout: Option<Duration>,
}

/// `health.passive.failureShare`: ejects where at least so many percent of the connections of a
/// window failed, and there were enough to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureShare {
    /// `percent`: 1 to 100.
    pub percent: Percent,
    /// `window`: 1 s to an hour.
    pub window: Duration,
    /// `minimumConnections`: fewer in a window tell nothing; at least 1.
    pub minimum_connections: u32,
}

/// `health.probation`: how a backend comes back once its ejection time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probation {
    /// `interval`: one connection is let through in each; more than zero.
    pub interval: Duration,
    /// `successes`: so many in a row end it, 1 to 100.
    pub successes: u8,
}

/// `health.probe`: what this node asks of each backend by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// `tcp`, `http` or `grpc`.
    pub kind: ProbeKind,
    /// `port`; none is the backend's own.
    pub port: Option<ProbePort>,
    /// `interval`: from the start of one to the start of the next, at least 1 s.
    pub interval: Duration,
    /// `timeout`: without an answer for so long it has failed; more than zero and at most
    /// [`Probe::interval`].
    pub timeout: Duration,
    /// `unhealthyThreshold`: so many failures in a row take a backend out, 1 to 100.
    pub unhealthy_threshold: u8,
    /// `healthyThreshold`: so many successes in a row bring it back, 1 to 100.
    pub healthy_threshold: u8,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// `tcp`: that a connection is accepted.
    Tcp,
    /// `http`: that a GET is answered with a status from 200 to 399, as kubelet has it.
    Http {
        /// `path`, with a `/` in front, and a query where one is given.
        path: Arc<str>,
        /// `host`: the header; none is the backend's address.
        host: Option<Arc<str>>,
    },
    /// `grpc`: that `grpc.health.v1.Health/Check` answers `SERVING`.
    Grpc {
        /// `service`: empty is the server as a whole.
        service: Arc<str>,
    },
}

/// Another port of the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum ProbePort {
    /// Its number, never 0.
    Number(u16),
    /// The name of a port of the Service.
    Name(Arc<str>),
}

/// A share in percent, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// The whole.
    pub const ALL: Self = Self(100);

    /// A share; none where it is more than 100.
    #[must_use]
    pub const fn new(percent: u8) -> Option<Self> {
        if percent > 100 { None } else { Some(Self(percent)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// So many percent of a number, rounded down.
    #[must_use]
    pub const fn of(self, number: u32) -> u32 {
        // At most `number`.
        (number as u64 * self.0 as u64 / 100) as u32
    }
}

impl HealthPolicy {
    /// The longest time that any of its fields may say.
    pub const MAX_TIME: Duration = Duration::from_secs(86_400);
}

impl Passive {
    /// What [`Passive::consecutive_failures`] may be.
    pub const CONSECUTIVE_FAILURES: RangeInclusive<u8> = 1..=100;
    /// What [`Passive::syn_retransmits`] may be: Linux gives up after 6 (`tcp_syn_retries`).
    pub const SYN_RETRANSMITS: RangeInclusive<u8> = 1..=6;
    /// What [`Passive::reply_timeout`] may be.
    pub const REPLY_TIMEOUT: RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(3_600);
}

impl FailureShare {
    /// What [`FailureShare::percent`] may be.
    pub const PERCENT: RangeInclusive<u8> = 1..=100;
    /// What [`FailureShare::window`] may be.
    pub const WINDOW: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(3_600);
    /// What [`FailureShare::minimum_connections`] may be.
    pub const MINIMUM_CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;
}

impl Probation {
    /// What [`Probation::successes`] may be.
    pub const SUCCESSES: RangeInclusive<u8> = 1..=100;
}

impl Probe {
    /// The shortest [`Probe::interval`].
    pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
    /// What its thresholds may be.
    pub const THRESHOLD: RangeInclusive<u8> = 1..=100;

    /// A probe with kubelet's interval and timeout (`periodSeconds`, `timeoutSeconds`: 10 and 1),
    /// and the thresholds of HAProxy (`fall 3`, `rise 2`): kubelet's `successThreshold` of 1 would
    /// bring back what answers now and then.
    #[must_use]
    pub const fn new(kind: ProbeKind) -> Self {
        Self {
            kind,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        }
    }
}

impl Default for HealthPolicy {
    /// The times are Envoy's (`base_ejection_time`, `max_ejection_time` of
    /// outlier_detection.proto); half of a Service may be out, where Envoy has a tenth, since with
    /// few Pods a tenth is none.
    fn default() -> Self {
        Self {
            passive: Some(Passive::default()),
            ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejected_percent: Percent(50),
            probation: Probation::default(),
            probe: None,
        }
    }
}

impl Default for Passive {
    /// Five in a row is Envoy's (`consecutive_local_origin_failure`; Linkerd has 7). A SYN is
    /// repeated after a second (RFC 6298, section 2), which a busy Pod of the same cluster is not
    /// late by.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_share: FailureShare::default(),
            syn_retransmits: 1,
            reply_timeout: None,
        }
    }
}

impl Default for FailureShare {
    /// Careful: Envoy, whose `failure_percentage_threshold` is 85 of at least 50 requests in 10 s,
    /// judges answers to requests; a connection that fails is rarer, and worse.
    fn default() -> Self {
        Self { percent: Percent(50), window: Duration::from_secs(30), minimum_connections: 20 }
    }
}

impl Default for Probation {
    /// A second is the first back-off of Linkerd's failure accrual, which lets one connection
    /// through as well, but returns after a single success; three are asked of what fails now and
    /// then.
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), successes: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_by_default_is_within_what_may_be_said() {
        let HealthPolicy { passive, ejection_time, max_ejection_time, probation, .. } =
            HealthPolicy::default();
        let passive = passive.unwrap();
        assert!(Passive::CONSECUTIVE_FAILURES.contains(&passive.consecutive_failures));
        assert!(Passive::SYN_RETRANSMITS.contains(&passive.syn_retransmits));
        let share = passive.failure_share;
        assert!(FailureShare::PERCENT.contains(&share.percent.get()));
        assert!(FailureShare::WINDOW.contains(&share.window));
        assert!(FailureShare::MINIMUM_CONNECTIONS.contains(&share.minimum_connections));
        assert!(Probation::SUCCESSES.contains(&probation.successes));
        assert!(!ejection_time.is_zero() && ejection_time <= max_ejection_time);
        assert!(max_ejection_time <= HealthPolicy::MAX_TIME);
        let probe = Probe::new(ProbeKind::Tcp);
        assert!(probe.interval >= Probe::MIN_INTERVAL && probe.timeout <= probe.interval);
        assert!(Probe::THRESHOLD.contains(&probe.unhealthy_threshold));
        assert!(Probe::THRESHOLD.contains(&probe.healthy_threshold));
    }

    #[test]
    fn a_percent_of_a_number_is_rounded_down() {
        let half = Percent::new(50).unwrap();
        assert_eq!([0, 1, 2, 3].map(|number| half.of(number)), [0, 0, 1, 1]);
        assert_eq!(Percent::ALL.of(u32::MAX), u32::MAX);
        assert_eq!(Percent::new(101), None);
    }
}
