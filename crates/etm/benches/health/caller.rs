//! The calling process: new connections at a steady rate, several open at a time.

use std::{
    cell::RefCell,
    hash::{BuildHasher as _, RandomState},
    io::ErrorKind,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::Context as _;
use etm_bench::calling::answer;
use etm_dataplane::monotonic;
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// What a calling process does until its input ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    /// New connections a second; without, one after the other.
    pub(crate) rate: Option<f64>,
    /// Most connections; none for as many as come.
    pub(crate) most: Option<u64>,
    /// How long it waits for a connection and its answer.
    pub(crate) patience: Duration,
    /// Of a hundred connections, how many it gives up at random: at once, when it is established,
    /// or before the answer is read.
    pub(crate) aborted: u64,
}

/// What came of it; moments are of `CLOCK_MONOTONIC`.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) connections: u64,
    pub(crate) aborted: u64,
    pub(crate) failures: Vec<Failure>,
}

/// A connection without an answer that its caller did not give up at random.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Failure {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) why: String,
}

/// Where a connection is given up.
#[derive(Clone, Copy)]
enum Abort {
    Never,
    AtOnce,
    Established,
    Asked,
}

/// Calls as a plan given as JSON says, and prints the report when it is done or its input has ended.
pub(crate) fn run(plan: &str) -> anyhow::Result<()> {
    answer(plan, async |plan, report| {
        keep_calling(plan, report).await;
        Ok(())
    })
}

async fn keep_calling(plan: &Plan, report: &Rc<RefCell<Report>>) {
    let (start, random) = (monotonic(), RandomState::new());
    let mut begun = 0;
    while plan.most.is_none_or(|most| begun < most) {
        let Some(rate) = plan.rate else {
            call(plan.clone(), Abort::Never, Rc::clone(report)).await;
            begun += 1;
            continue;
        };
        let due = ((monotonic() - start).as_secs_f64() * rate) as u64;
        let due = plan.most.map_or(due, |most| due.min(most));
        for number in begun..due {
            let abort = abort(random.hash_one(number), plan.aborted);
            tokio::task::spawn_local(call(plan.clone(), abort, Rc::clone(report)));
        }
        begun = due;
        sleep(Duration::from_millis(1)).await;
    }
}

fn abort(random: u64, percent: u64) -> Abort {
    match (random % 100 < percent, random / 100 % 3) {
        (false, _) => Abort::Never,
        (true, 0) => Abort::AtOnce,
        (true, 1) => Abort::Established,
        (true, _) => Abort::Asked,
    }
}

async fn call(plan: Plan, abort: Abort, report: Rc<RefCell<Report>>) {
    let began = monotonic();
    let patience = match abort {
        Abort::AtOnce => Duration::ZERO,
        _ => plan.patience,
    };
    let ended = timeout(patience, exchange(plan.target, abort)).await;
    let mut report = report.borrow_mut();
    report.connections += 1;
    let why = match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("no answer".to_owned()),
    };
    match (abort, why) {
        (Abort::Never, Some(why)) => {
            report.failures.push(Failure { began, ended: monotonic(), why });
        }
        (Abort::Never, None) => {}
        _ => report.aborted += 1,
    }
}

/// connect, a byte there, a byte back, close.
async fn exchange(target: SocketAddr, abort: Abort) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    let stream = socket.connect(target).await.context("connect")?;
    if let Abort::Established = abort {
        return reset(&stream);
    }
    stream.writable().await?;
    stream.try_write(b"?").context("send")?;
    if let Abort::Asked = abort {
        return reset(&stream);
    }
    loop {
        stream.readable().await?;
        match stream.try_read(&mut [0; 1]) {
            Ok(1) => return Ok(()),
            Ok(_) => anyhow::bail!("closed without an answer"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("receive"),
        }
    }
}

/// Has the `close()` that follows end the connection at once.
fn reset(stream: &TcpStream) -> anyhow::Result<()> {
    Ok(sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}
