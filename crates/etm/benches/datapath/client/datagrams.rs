//! Datagrams of an unconnected socket: one there, one back.

use std::{os::fd::OwnedFd, time::Instant};

use anyhow::Context as _;
use rustix::net::{self, RecvFlags, SendFlags, SocketType};

use super::{
    Plan, Sample,
    lane::{order, socket},
    report,
};
use crate::statistics::{mean, quantile};

pub(super) fn run(plan: &Plan) -> anyhow::Result<()> {
    round(plan)?;
    for _ in 0..plan.rounds {
        report(&round(plan)?)?;
    }
    Ok(())
}

fn round(plan: &Plan) -> anyhow::Result<Vec<Sample>> {
    let mut sockets = Vec::new();
    for lane in &plan.lanes {
        lane.enter()?;
        sockets.push(socket(SocketType::DGRAM)?);
    }
    let mut times = vec![Vec::new(); plan.lanes.len()];
    for number in 0..plan.repetitions {
        for lane in order(plan.lanes.len(), number) {
            let started = Instant::now();
            exchange(&plan.lanes[lane], &sockets[lane], number)?;
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

fn exchange(lane: &super::Lane, socket: &OwnedFd, number: usize) -> anyhow::Result<()> {
    let target = lane.target(number);
    net::sendto(socket, b"?", SendFlags::empty(), &target)
        .with_context(|| format!("{}: send to {target}", lane.name))?;
    net::recvfrom(socket, &mut [0; 64], RecvFlags::empty())
        .with_context(|| format!("{}: answer of {target}", lane.name))?;
    Ok(())
}
