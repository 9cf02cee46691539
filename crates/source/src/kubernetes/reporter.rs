//! What this node has taken out of service, written for the cluster to see.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use etm_api::{NodeReport, NodeReportSpec, UncheckedNodeReport};
use etm_model::{Problem, with_causes};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// The field manager of reports.
const MANAGER: &str = "etm-agent";
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes the node's `NodeReport` in a task of its own: an API server that does not answer, or has no
/// room, holds up nothing else. Whatever is told while a write is under way or not due yet is one
/// write later.
pub(super) struct Reporter {
    wanted: watch::Sender<Wanted>,
    problem: watch::Receiver<Option<Problem>>,
}

/// What the report is to say.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    /// UID of the Node, which owns the report.
    uid: Option<String>,
    spec: Option<NodeReportSpec>,
}

impl Reporter {
    /// Must be called in a tokio runtime.
    pub(super) fn start(client: Client, node: &str) -> Self {
        let (wanted, receiver) = watch::channel(Wanted::default());
        let (sender, problem) = watch::channel(None);
        tokio::spawn(write(Api::all(client), node.to_owned(), receiver, sender));
        Self { wanted, problem }
    }

    /// Says whose the report is; nothing is written for a Node that is not there.
    pub(super) fn set_node(&self, uid: String) {
        self.set(|wanted| wanted.uid = Some(uid).filter(|uid| !uid.is_empty()));
    }

    pub(super) fn report(&self, spec: NodeReportSpec) {
        self.set(|wanted| wanted.spec = Some(spec));
    }

    fn set(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_if_modified(|wanted| {
            let before = wanted.clone();
            change(wanted);
            *wanted != before
        });
    }

    /// Why what was told is not written yet.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.problem.borrow().clone()
    }

    /// Waits for that to be another. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.problem.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn write(
    api: Api<UncheckedNodeReport>,
    node: String,
    mut wanted: watch::Receiver<Wanted>,
    problem: watch::Sender<Option<Problem>>,
) {
    let mut pace = Pace::new(Instant::now());
    let mut written = None;
    let differs = |written: &Option<Wanted>, wanted: &Wanted| {
        wanted.uid.is_some() && wanted.spec.is_some() && written.as_ref() != Some(wanted)
    };
    while wanted.wait_for(|wanted| differs(&written, wanted)).await.is_ok() {
        sleep_until(pace.due()).await;
        let latest = wanted.borrow_and_update().clone();
        // It may be again as it was.
        if !differs(&written, &latest) {
            continue;
        }
        let request = apply(&api, &node, &latest);
        let outcome = match timeout(PATIENCE, request).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(reason(&error)),
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        pace.note(outcome.is_none(), Instant::now());
        let failed = outcome.map(|reason| failing(&node, &reason));
        if failed.is_none() {
            written = Some(latest);
        }
        problem.send_if_modified(|before| {
            let differs = *before != failed;
            *before = failed;
            differs
        });
    }
}

async fn apply(
    api: &Api<UncheckedNodeReport>,
    node: &str,
    wanted: &Wanted,
) -> Result<(), kube::Error> {
    // Nobody else is to write it.
    let how = PatchParams::apply(MANAGER).force();
    api.patch(node, &how, &Patch::Apply(body(node, wanted))).await.map(drop)
}

fn body(node: &str, wanted: &Wanted) -> Value {
    json!({
        "apiVersion": NodeReport::api_version(&()),
        "kind": NodeReport::kind(&()),
        "metadata": {
            "name": node,
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Node", "name": node, "uid": wanted.uid,
            }],
        },
        "spec": wanted.spec,
    })
}

/// When the next write may be sent.
///
/// Many nodes see a fault at the same time, and what they see changes second by second at first. So
/// the first write comes after a random time, and pauses grow while there is always something new.
struct Pace {
    due: Instant,
    pause: Duration,
    failures: u32,
}

/// The pause after a write, at least and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(32));
/// The longest pause after a write that failed.
const LONGEST: Duration = Duration::from_secs(64);

impl Pace {
    fn new(now: Instant) -> Self {
        Self { due: now, pause: PAUSE.0, failures: 0 }
    }

    fn due(&self) -> Instant {
        self.due.max(Instant::now() + random(Duration::from_millis(500)))
    }

    fn note(&mut self, written: bool, now: Instant) {
        if written {
            // Where nothing was new for long enough, the next change is told soon again.
            let quiet = now.saturating_duration_since(self.due) > 2 * self.pause;
            self.pause = if quiet { PAUSE.0 } else { (self.pause * 2).min(PAUSE.1) };
            self.failures = 0;
            self.due = now + self.pause;
        } else {
            self.failures = (self.failures + 1).min(5);
            let pause = (PAUSE.0 * 2_u32.pow(self.failures)).min(LONGEST);
            self.due = now + pause + random(pause);
        }
    }
}

/// Some time below this; how random it is does not matter.
fn random(below: Duration) -> Duration {
    let share = (RandomState::new().hash_one(0) % 1024) as u32;
    below * share / 1024
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("HTTP {}: {}", status.code, status.message),
        error => with_causes(error),
    }
}

fn failing(node: &str, reason: &str) -> Problem {
    Problem {
        object: format!("NodeReport {node}"),
        field: String::new(),
        reason: format!("cannot be written: {reason}"),
        hint:
            "what this node takes out of service is not told to others until it can; etm install \
               --apply renews the kind and the rights"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_there_is_always_something_new_and_with_failures() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let now = pace.due;
            pace.note(true, now);
            pauses.push((pace.due - now).as_secs());
        }
        assert_eq!(pauses, [4, 8, 16, 32, 32, 32]);
        let quiet = pace.due + 3 * pace.pause;
        pace.note(true, quiet);
        assert_eq!(pace.due - quiet, PAUSE.0);
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            let now = pace.due;
            pace.note(false, now);
            last = pace.due - now;
        }
        assert!(last >= LONGEST && last < 2 * LONGEST, "{last:?}");
    }
}
