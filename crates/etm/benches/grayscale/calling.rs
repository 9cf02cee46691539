//! Calling processes, as the bench has them.

use std::{
    env,
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, ensure};
use etm_testkit::Place;

use crate::caller::{Plan, Report};

/// A calling process; killed on drop.
pub(crate) struct Calling {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Calling {
    /// Starts one at a place.
    pub(crate) fn start(place: &Place, plan: &Plan) -> anyhow::Result<Self> {
        let mut child = place
            .command(env::current_exe()?)
            .args(["call", &serde_json::to_string(plan)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut calling = Self { child, lines };
        let line = calling.lines.next().transpose()?;
        ensure!(line.as_deref() == Some("ready"), "a caller of the bench did not start");
        Ok(calling)
    }

    /// Waits until it has made all of its requests.
    pub(crate) fn wait(mut self) -> anyhow::Result<Report> {
        let line = self.lines.next().transpose()?.context("a caller of the bench failed")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Has it begin no more requests, and waits for those under way.
    pub(crate) fn stop(mut self) -> anyhow::Result<Report> {
        drop(self.child.stdin.take());
        self.wait()
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
