//! Datagrams of an unconnected socket: one there, one back.

use std::{os::fd::OwnedFd, time::Instant};

use anyhow::Context as _;
use rustix::net::{self, RecvFlags, SendFlags, SocketType};

use super::{
    Plan, Times,
    lane::{order, socket},
    times,
};

pub(super) fn round(plan: &Plan) -> anyhow::Result<Vec<Times>> {
    let mut sockets = Vec::new();
    for lane in &plan.lanes {
        lane.enter()?;
        sockets.push(socket(SocketType::DGRAM)?);
    }
    let mut times = times(plan);
    for number in 0..plan.repetitions {
        for lane in order(plan.lanes.len(), number) {
            let started = Instant::now();
            exchange(&plan.lanes[lane], &sockets[lane], number)?;
            times[lane].add(started.elapsed());
        }
    }
    Ok(times)
}

fn exchange(lane: &super::Lane, socket: &OwnedFd, number: usize) -> anyhow::Result<()> {
    let target = lane.target(number);
    net::sendto(socket, b"?", SendFlags::empty(), &target)
        .with_context(|| format!("{}: send to {target}", lane.name))?;
    net::recvfrom(socket, &mut [0; 64], RecvFlags::empty())
        .with_context(|| format!("{}: answer of {target}", lane.name))?;
    Ok(())
}
