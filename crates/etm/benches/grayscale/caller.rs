//! The calling process: requests over connections of their own, by the cgroups of one or many Pods.

use std::{cell::RefCell, fs, net::SocketAddr, path::PathBuf, rc::Rc, time::Duration};

use anyhow::Context as _;
use etm_bench::calling::answer;
use etm_dataplane::monotonic;
use etm_testkit::{Answer, HollowPod};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{interval, timeout},
};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

/// What a calling process does until its input ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) how: How,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum How {
    /// So many, one after the other.
    Count(u64),
    /// So many a second, until it is stopped.
    Rate(f64),
    /// One from each of these cgroups, as a process of it.
    Cgroups(Vec<PathBuf>),
}

/// What came of each request, in the order of their ends.
pub(crate) type Report = Vec<Request>;

/// A request; moments are of `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Request {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// The versions of the Pods that have served it, first that of the one that was called; or why
    /// there was no answer.
    pub(crate) served: Result<Vec<String>, String>,
}

impl Request {
    /// The version that was called, where all that have served are of one.
    pub(crate) fn version(&self) -> Option<&str> {
        let versions = self.served.as_ref().ok()?;
        let (first, others) = versions.split_first()?;
        others.iter().all(|other| other == first).then_some(first)
    }
}

/// A process that calls so.
pub(crate) type Calling = etm_bench::calling::Calling<Report>;

/// Starts one in a container.
pub(crate) fn start(pod: &HollowPod, plan: &Plan) -> anyhow::Result<Calling> {
    let container = pod.container("main").context("no container")?;
    Calling::start(|program| container.place.command(program), plan)
}

/// Calls as a plan given as JSON says, and prints the report when it is done or its input has ended.
pub(crate) fn run(plan: &str) -> anyhow::Result<()> {
    answer(plan, call_all)
}

async fn call_all(plan: &Plan, report: &Rc<RefCell<Report>>) -> anyhow::Result<()> {
    match &plan.how {
        How::Count(count) => {
            for _ in 0..*count {
                call(plan.target, Rc::clone(report)).await;
            }
        }
        How::Cgroups(cgroups) => {
            for cgroup in cgroups {
                // What counts is the cgroup that the process is in when it connects.
                let procs = cgroup.join("cgroup.procs");
                fs::write(&procs, "0").with_context(|| format!("write {}", procs.display()))?;
                call(plan.target, Rc::clone(report)).await;
            }
        }
        How::Rate(rate) => {
            // Those that are late are made up for; nothing wakes in between, since many such processes
            // share the machine with what is measured.
            let mut due = interval(Duration::from_secs_f64(rate.recip()));
            loop {
                due.tick().await;
                tokio::task::spawn_local(call(plan.target, Rc::clone(report)));
            }
        }
    }
    Ok(())
}

async fn call(target: SocketAddr, report: Rc<RefCell<Report>>) {
    let began = monotonic();
    let served = match timeout(PATIENCE, exchange(target)).await {
        Ok(Ok(versions)) => Ok(versions),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("no answer".to_owned()),
    };
    report.borrow_mut().push(Request { began, ended: monotonic(), served });
}

async fn exchange(target: SocketAddr) -> anyhow::Result<Vec<String>> {
    let mut stream = TcpStream::connect(target).await.context("connect")?;
    stream.set_nodelay(true)?;
    stream.write_all(REQUEST).await.context("send")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.context("receive")?;
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no answer")?;
    let answer: Answer = serde_json::from_slice(&response[end..])?;
    // Pods are named SERVICE-VERSION-NUMBER.
    let version = |pod: &str| pod.split('-').nth(1).unwrap_or_default().to_owned();
    Ok(answer.chain().into_iter().map(version).collect())
}
