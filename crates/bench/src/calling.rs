//! A process that a bench starts of itself to call, seen from both ends.
//!
//! It is given a plan, says that it is ready, calls until it is done or its input has ended, and
//! answers with a report; plan and report are a line of JSON each.

use std::{
    cell::RefCell,
    env,
    io::{BufRead as _, BufReader, Lines, Read as _, stdin},
    marker::PhantomData,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    rc::Rc,
    thread,
};

use anyhow::{Context as _, ensure};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{runtime, sync::oneshot, task::LocalSet};

/// The subcommand of a bench that calls; the plan is its argument.
const COMMAND: &str = "call";

const READY: &str = "ready";

/// A calling process, as the bench has it; killed on drop.
#[derive(Debug)]
pub struct Calling<Report> {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    report: PhantomData<Report>,
}

impl<Report: DeserializeOwned> Calling<Report> {
    /// Starts one by a command of this program, and waits until it is ready.
    pub fn start(
        command: impl FnOnce(&Path) -> Command,
        plan: &impl Serialize,
    ) -> anyhow::Result<Self> {
        let mut child = command(&env::current_exe()?)
            .args([COMMAND, &serde_json::to_string(plan)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut calling = Self { child, lines, report: PhantomData };
        let line = calling.lines.next().transpose()?;
        ensure!(line.as_deref() == Some(READY), "a caller of the bench did not start");
        Ok(calling)
    }

    /// Waits until it has made all of its calls.
    pub fn wait(mut self) -> anyhow::Result<Report> {
        let line = self.lines.next().transpose()?.context("a caller of the bench failed")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Has it begin no more calls, and waits for those under way.
    pub fn stop(mut self) -> anyhow::Result<Report> {
        drop(self.child.stdin.take());
        self.wait()
    }
}

impl<Report> Drop for Calling<Report> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls as a plan says, in the calling process, and prints the report.
///
/// `calls` may spawn calls of its own on the [`LocalSet`] that it runs in; when it returns, or the
/// input has ended, those that are under way still come to their end.
pub fn answer<Plan: DeserializeOwned, Report: Default + Serialize>(
    plan: &str,
    calls: impl AsyncFnOnce(&Plan, &Rc<RefCell<Report>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    let (tell, ended) = oneshot::channel();
    thread::spawn(move || {
        let _ = stdin().read_to_end(&mut Vec::new());
        let _ = tell.send(());
    });
    println!("{READY}");
    let report = Rc::new(RefCell::new(Report::default()));
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::select! {
            done = calls(&plan, &report) => done,
            _ = ended => Ok(()),
        }
    })?;
    runtime.block_on(local);
    println!("{}", serde_json::to_string(&*report.borrow())?);
    Ok(())
}
