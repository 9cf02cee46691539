//! Connections, with or without an exchange before they are closed.

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::bail;
use rustix::{
    io::Errno,
    net::{self, RecvFlags, SendFlags, SocketType, sockopt},
};

use super::{
    Lane, Plan, Times, Work,
    lane::{order, socket},
    times,
};

/// Sockets that each lane makes at a time, where lanes have to be moved between.
const BATCH: usize = 250;

pub(super) fn round(plan: &Plan) -> anyhow::Result<Vec<Times>> {
    let mut times = times(plan);
    let lanes = &plan.lanes;
    lanes[0].enter()?;
    // Made right before its call where that can be, as most programs do.
    let together = lanes.iter().all(|lane| lane.is_beside(&lanes[0]));
    for first in (0..plan.repetitions).step_by(BATCH) {
        let batch = BATCH.min(plan.repetitions - first);
        let mut sockets = lanes.iter().map(|_| Vec::new()).collect::<Vec<_>>();
        if !together {
            for (lane, sockets) in lanes.iter().zip(&mut sockets) {
                lane.enter()?;
                for _ in 0..batch {
                    sockets.push(socket(SocketType::STREAM)?);
                }
            }
        }
        for number in first..first + batch {
            for lane in order(lanes.len(), number) {
                let socket = match sockets[lane].pop() {
                    Some(socket) => socket,
                    None => socket(SocketType::STREAM)?,
                };
                let (connect, whole) = call(&lanes[lane], plan.work, socket, number)?;
                times[lane].add_parts(connect, whole);
            }
        }
    }
    Ok(times)
}

/// The time of connect() alone, and of everything from connect to close.
pub(super) fn call(
    lane: &Lane,
    work: Work,
    socket: OwnedFd,
    number: usize,
) -> anyhow::Result<(Duration, Duration)> {
    let target = lane.target(number);
    // With a reset, so that no port stays behind in TIME_WAIT.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    let started = Instant::now();
    let outcome = net::connect(&socket, &target);
    let connected = started.elapsed();
    match (outcome.map_err(Errno::raw_os_error), lane.errno) {
        (Ok(()), None) if work == Work::Exchanges => converse(&socket, &lane.name, target)?,
        (Ok(()), None) => {}
        (Err(errno), Some(expected)) if errno == expected => {}
        (other, _) => bail!("{}: connect to {target} gave {other:?}", lane.name),
    }
    drop(socket);
    Ok((connected, started.elapsed()))
}

fn converse(socket: &OwnedFd, lane: &str, target: SocketAddr) -> anyhow::Result<()> {
    net::send(socket, b"?", SendFlags::empty())?;
    let mut answer = [0; 1];
    match net::recv(socket, &mut answer, RecvFlags::empty())? {
        (1, _) => Ok(()),
        _ => bail!("{lane}: {target} closed the connection"),
    }
}
