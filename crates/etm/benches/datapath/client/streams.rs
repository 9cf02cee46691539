//! Bulk transfers over connections that are open already.

use std::{os::fd::OwnedFd, time::Instant};

use anyhow::{Context as _, ensure};
use rustix::net::{self, RecvFlags, SendFlags, SocketType};

use super::{
    Plan, Times,
    lane::{order, socket},
    times,
};
use crate::server::TRANSFER;

/// Written at a time.
const CHUNK: usize = 256 << 10;

pub(super) fn round(plan: &Plan) -> anyhow::Result<Vec<Times>> {
    let mut times = times(plan);
    for number in 0..plan.repetitions {
        for lane in order(plan.lanes.len(), number) {
            let stream = open(&plan.lanes[lane], number)?;
            let started = Instant::now();
            transfer(&stream)?;
            times[lane].add(started.elapsed());
        }
    }
    Ok(times)
}

fn open(lane: &super::Lane, number: usize) -> anyhow::Result<OwnedFd> {
    let target = lane.target(number);
    lane.enter()?;
    let socket = socket(SocketType::STREAM)?;
    net::connect(&socket, &target)
        .with_context(|| format!("{}: connect to {target}", lane.name))?;
    Ok(socket)
}

fn transfer(stream: &OwnedFd) -> anyhow::Result<()> {
    let chunk = [0; CHUNK];
    let mut left = TRANSFER;
    while left > 0 {
        left -= net::send(stream, &chunk[..CHUNK.min(left)], SendFlags::empty())?;
    }
    let (count, _) = net::recv(stream, &mut [0; 1], RecvFlags::empty())?;
    ensure!(count == 1, "the server closed the connection");
    Ok(())
}
