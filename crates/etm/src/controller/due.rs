//! What the controller has to write, one thing at a time.

use std::time::Duration;

use etm_controller::{
    NodeWrite, Outcome, ReleaseWrite, RouteWrite, StatusWrite, write, write_nodes, write_release,
    write_route,
};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tracing::debug;

use super::Controller;

/// How long nothing is written after a write failed: what is wrong is mostly so for all of them.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// Something that this process has to write.
pub(super) enum Due {
    Policy(StatusWrite),
    Route(RouteWrite),
    Nodes(NodeWrite),
    Release(Box<ReleaseWrite>),
}

impl Controller {
    /// What this process has to write, if it is the one that does.
    pub(super) fn due(&self) -> Option<Due> {
        self.leadership.until().filter(|_| self.led && self.state.is_ready())?;
        let time = Timestamp::now();
        let nodes = || self.watchman.due(time).map(Due::Nodes);
        let releases = || self.overseer.releases.next(time).map(Box::new).map(Due::Release);
        // Nodes first: each is about many Pods. Then releases, of which one may be bad.
        nodes()
            .or_else(releases)
            .or_else(|| self.policies.next(time).map(Due::Policy))
            .or_else(|| self.routes.next(time).map(Due::Route))
    }

    pub(super) async fn write(&mut self, due: &Due) {
        // Time may have passed since: whoever was stopped for a while leads no more.
        let Some(until) = self.leadership.until() else { return };
        let outcome = match due {
            Due::Policy(due) => {
                let outcome = write(&self.client, due, until).await;
                debug!(policy = %due.name, ?outcome, "status");
                self.policies.note(due, &outcome);
                outcome
            }
            Due::Route(due) => {
                let outcome = write_route(&self.client, due, until).await;
                debug!(?due, ?outcome, "status");
                self.routes.note(due, &outcome);
                outcome
            }
            Due::Release(due) => {
                let (outcome, after) = write_release(&self.client, due, until).await;
                debug!(release = %due.name, ?outcome, "status");
                self.overseer.wrote(due, &outcome, after);
                outcome
            }
            Due::Nodes(due) => {
                let outcome = write_nodes(&self.client, due, until).await;
                debug!(?due, ?outcome, "status");
                self.watchman.nodes.note(due, &outcome);
                outcome
            }
        };
        self.metrics.wrote(match outcome {
            Outcome::Written => "written",
            Outcome::Overtaken => "overtaken",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
        });
        if matches!(outcome, Outcome::Failed(_)) {
            self.resume = Instant::now() + RETRY;
        }
    }
}
