//! Bulk transfers over connections that are open already.

use std::{os::fd::OwnedFd, time::Instant};

use anyhow::{Context as _, ensure};
use rustix::net::{self, RecvFlags, SendFlags, SocketType};

use super::{
    Plan, Sample,
    lane::{order, socket},
    report,
};
use crate::{
    server::TRANSFER,
    statistics::{mean, quantile},
};

/// Written at a time.
const CHUNK: usize = 256 << 10;

pub(super) fn run(plan: &Plan) -> anyhow::Result<()> {
    round(plan)?;
    for _ in 0..plan.rounds {
        report(&round(plan)?)?;
    }
    Ok(())
}

fn round(plan: &Plan) -> anyhow::Result<Vec<Sample>> {
    let mut times = vec![Vec::new(); plan.lanes.len()];
    for number in 0..plan.repetitions {
        for lane in order(plan.lanes.len(), number) {
            let stream = open(&plan.lanes[lane], number)?;
            let started = Instant::now();
            transfer(&stream)?;
            times[lane].push(started.elapsed().as_nanos() as f64);
        }
    }
    let sample = |times: &Vec<f64>| Sample {
        p50: quantile(times.iter().copied(), 0.5),
        p99: quantile(times.iter().copied(), 0.99),
        whole: mean(times),
    };
    Ok(times.iter().map(sample).collect())
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
