//! What the kernel did with backends by itself: while the agent runs, and before it started.

use std::{net::SocketAddr, time::Duration};

use etm_abi::{BACKEND_EJECTED, BACKEND_OUT, Ejection, Failure, Happened};
use etm_dataplane::monotonic;
use etm_health::{FailureKind, Failures, Record, Signal};
use etm_model::BackendKey;
use tracing::{info, warn};

use super::{Scene, Verdicts};
use crate::agent::stale::Moved;

impl Verdicts {
    /// Takes in what the kernel did with a backend.
    pub(in crate::agent) fn hear(&mut self, ejection: &Ejection, mut scene: Scene<'_>) {
        let Some(key) = scene.ledger.backend_key(ejection.backend) else { return };
        let record = scene.dataplane.backend(ejection.backend).unwrap_or_default();
        if record.incarnation != ejection.incarnation {
            return;
        }
        let Some(what) = Happened::ALL.get(ejection.what as usize) else { return };
        match what {
            Happened::Ejected => self.records.count(record.budget, -1),
            Happened::Returned => self.records.count(record.budget, 1),
            _ => {}
        }
        let failures = Failures {
            in_row: ejection.failures,
            callers: if ejection.others == 0 { 1 } else { 2 },
            last: kind(ejection.failure),
        };
        tell(*what, &key, failures, &scene);
        match what {
            Happened::Ejected | Happened::EjectedAgain => self.moved.push(Moved::Out(key)),
            Happened::Returned => self.moved.push(Moved::Back(key)),
            _ => {}
        }
        let until = Duration::from_nanos(ejection.until);
        let signal = match what {
            Happened::Ejected => Signal::Ejected { failures, until, times: record.times.into() },
            Happened::Spared => Signal::Failing(failures),
            Happened::Shunned => Signal::Alone(failures),
            Happened::EjectedAgain => Signal::Failed(failures.last),
            Happened::Returned => Signal::Returned,
        };
        self.suspect(key, &mut scene);
        self.tracker.signal(monotonic(), key, signal);
        self.settle(&mut scene);
    }

    /// Takes over what an agent before this one, or the kernel since, has taken out of service.
    pub(super) fn adopt(&mut self, scene: &mut Scene<'_>) {
        for id in 0..scene.ledger.backends_end() {
            let Some(record) = scene.dataplane.backend(id) else { continue };
            let Some(key) = scene.ledger.backend_key(id) else { continue };
            let times = record.times.into();
            let adopted = match record.state {
                BACKEND_EJECTED => {
                    Record::Ejected { until: Duration::from_nanos(record.until), times }
                }
                BACKEND_OUT => Record::Out,
                _ if times != 0 => Record::Available { times },
                _ => continue,
            };
            // Sockets that came to it on probation stay.
            let is_out = match adopted {
                Record::Ejected { until, .. } => until > monotonic(),
                Record::Out => true,
                Record::Available { .. } => false,
            };
            if is_out {
                self.moved.push(Moved::Out(key));
            }
            self.suspect(key, scene);
            self.tracker.adopt(monotonic(), key, adopted);
        }
    }
}

fn kind(failure: u32) -> FailureKind {
    if failure == Failure::Refused as u32 {
        FailureKind::Refused
    } else if failure == Failure::TimedOut as u32 {
        FailureKind::TimedOut
    } else {
        FailureKind::Reset
    }
}

/// Logs what the kernel did.
fn tell(what: Happened, key: &BackendKey, failures: Failures, scene: &Scene<'_>) {
    let pod = scene.ledger.pod(key).map(|pod| pod.to_string()).unwrap_or_default();
    let Failures { in_row, last, .. } = failures;
    let backend = SocketAddr::new(key.ip, key.port);
    match what {
        Happened::Ejected => {
            warn!(%backend, pod, in_row, ?last, "ejected: its connections fail, of several callers");
        }
        Happened::EjectedAgain => {
            warn!(%backend, pod, ?last, "ejected again: a connection on probation failed");
        }
        Happened::Shunned => {
            warn!(%backend, pod, in_row, ?last, "kept from one caller, whose connections alone fail");
        }
        Happened::Spared => {
            warn!(%backend, pod, in_row, ?last, "not ejected: no more of its Service may be out");
        }
        Happened::Returned => info!(%backend, pod, "back: its connections succeed"),
    }
}
