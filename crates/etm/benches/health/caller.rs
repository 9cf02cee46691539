//! The calling process: new connections at a steady rate, several open at a time.

use std::{
    cell::RefCell,
    hash::{BuildHasher as _, RandomState},
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::Context as _;
use etm_bench::{
    calling::answer,
    pace::Paced,
    processor::{self, Role},
};
use etm_dataplane::{RunCounter, Runs, monotonic};
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// Connections of a turn: so few that the processor is likely to run at one speed throughout.
pub(crate) const TURN: u64 = 50;

/// What a calling process does until its input ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) calls: Calls,
    /// How long it waits for a connection and its answer.
    pub(crate) patience: Duration,
    /// Of a hundred connections, how many it gives up at random: at once, when it is established,
    /// or before the answer is read.
    pub(crate) aborted: u64,
}

/// When a calling process calls.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Calls {
    Steadily {
        /// New connections a second.
        rate: f64,
        /// Most connections; none for as many as come.
        most: Option<u64>,
    },
    /// One after the other, on a processor of its own.
    InTurns {
        turns: usize,
        /// Kernel id of a program whose runs are counted.
        program: u32,
    },
}

/// What came of it; moments are of `CLOCK_MONOTONIC`.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) connections: u64,
    pub(crate) aborted: u64,
    pub(crate) failures: Vec<Failure>,
    /// Runs of the program of [`Calls::InTurns`].
    pub(crate) turns: Vec<Paced<Runs>>,
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
    answer(plan, async |plan: &Plan, report| match plan.calls {
        Calls::Steadily { rate, most } => {
            call_steadily(plan, rate, most, report).await;
            Ok(())
        }
        Calls::InTurns { turns, program } => {
            call_in_turns(plan.target, turns, program, &mut report.borrow_mut())
        }
    })
}

fn call_in_turns(
    target: SocketAddr,
    turns: usize,
    program: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    processor::pin(Role::Client)?;
    let counter = RunCounter::of(program)?;
    for _ in 0..turns {
        report.turns.push(Paced::take(|| {
            let before = counter.runs()?;
            (0..TURN).try_for_each(|_| call_at_once(target))?;
            Ok(counter.runs()?.since(before))
        })?);
    }
    Ok(())
}

/// connect, a byte there, a byte back, and a reset, which leaves no port behind in TIME_WAIT: among
/// those the kernel would search longer and longer for a free one.
fn call_at_once(target: SocketAddr) -> anyhow::Result<()> {
    let mut stream = std::net::TcpStream::connect(target).context("connect")?;
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    stream.write_all(b"?").context("send")?;
    stream.read_exact(&mut [0; 1]).context("receive")
}

async fn call_steadily(plan: &Plan, rate: f64, most: Option<u64>, report: &Rc<RefCell<Report>>) {
    let (start, random) = (monotonic(), RandomState::new());
    let mut begun = 0;
    while most.is_none_or(|most| begun < most) {
        let due = ((monotonic() - start).as_secs_f64() * rate) as u64;
        let due = most.map_or(due, |most| due.min(most));
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
