//! What monitors say, as statuses have it; pure.

use std::sync::Arc;

use etm_api::{EjectedPod, TrafficPolicyStatus};
use etm_monitor::{Ejection, Standing, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The condition that tells whether monitors answer.
pub(crate) const REACHABLE: &str = "MonitorReachable";

/// What the monitors of one object say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitored {
    /// How they stand; none where there is no monitor.
    pub reachable: Option<Reachable>,
    /// Who is out.
    pub ejected: Vec<Ejection>,
}

/// The condition `MonitorReachable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// `True`, `False`, or `Unknown` before the first answer.
    pub status: &'static str,
    /// `reason`.
    pub reason: &'static str,
    /// `message`.
    pub message: String,
}

impl Reachable {
    /// The condition of all monitors of an object; none where it has none. One that fails is told of,
    /// whatever the others do.
    pub fn of<'a>(standings: impl Iterator<Item = (&'a Arc<str>, &'a Standing)>) -> Option<Self> {
        let (mut pending, mut reachable, mut failing) = (0, 0, Vec::new());
        for (name, standing) in standings {
            match standing {
                Standing::Pending => pending += 1,
                Standing::Reachable => reachable += 1,
                Standing::Failing(trouble) => failing.push((name, trouble)),
            }
        }
        let first = failing.first().map(|(_, trouble)| trouble.reason());
        Some(match (first, pending, reachable) {
            (Some(reason), ..) => {
                let told = failing.iter().map(|(name, trouble)| format!("{name}: {trouble}"));
                let message = told.collect::<Vec<_>>().join("; ");
                Self { status: "False", reason, message }
            }
            (None, 0, 0) => return None,
            (None, 0, _) => {
                Self { status: "True", reason: "Answering", message: "all monitors answer".into() }
            }
            (None, ..) => {
                let message = "no answer has come yet".into();
                Self { status: "Unknown", reason: "Pending", message }
            }
        })
    }
}

/// Who is out, as the status of a policy has it.
pub(crate) fn pods(ejected: &[Ejection]) -> Vec<EjectedPod> {
    let pods = ejected.iter().map(|ejection| {
        let (pod, uid, address) = match &ejection.subject {
            Subject::Pod(name, uid) => {
                let uid = Some(uid.to_string()).filter(|uid| !uid.is_empty());
                (Some(name.to_string()), uid, None)
            }
            Subject::Address(address) => (None, None, Some(address.to_string())),
            Subject::Node(name) => (Some(name.to_string()), None, None),
        };
        EjectedPod {
            pod,
            uid,
            address,
            monitor: ejection.monitor.to_string(),
            message: ejection.message.to_string(),
            since: Time(crate::policies::seconds(ejection.since)),
        }
    });
    pods.collect()
}

/// Who is out by the status of a policy.
#[must_use]
pub fn ejections(status: &TrafficPolicyStatus) -> Vec<Ejection> {
    let ejections = status.ejected.iter().filter_map(|pod| {
        let subject = match (&pod.pod, &pod.address) {
            (Some(name), _) => {
                let uid = pod.uid.as_deref().unwrap_or_default();
                Subject::Pod(name.as_str().into(), uid.into())
            }
            (None, address) => Subject::Address(address.as_ref()?.parse().ok()?),
        };
        Some(Ejection {
            subject,
            monitor: pod.monitor.as_str().into(),
            message: pod.message.as_str().into(),
            since: pod.since.0,
        })
    });
    ejections.collect()
}
