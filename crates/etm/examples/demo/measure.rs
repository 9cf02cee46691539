//! The measuring process of scene `cost`: connect() to two targets in turn.

use std::{net::SocketAddr, time::Duration, time::Instant};

use clap::Args;
use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt},
};
use serde::{Deserialize, Serialize};

/// What to connect to.
#[derive(Args, Debug)]
pub(crate) struct MeasureArgs {
    /// The Service.
    service: SocketAddr,
    /// Its Pods.
    #[arg(required = true)]
    pods: Vec<SocketAddr>,
    /// How often to measure.
    #[arg(long)]
    rounds: usize,
    /// Connections to each of the two in a round.
    #[arg(long)]
    pairs: usize,
}

/// Medians of one round, in nanoseconds.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Round {
    pub(crate) service_ns: u64,
    pub(crate) pod_ns: u64,
}

/// Measures, and prints a line of JSON for each round.
pub(crate) fn run(arguments: &MeasureArgs) -> anyhow::Result<()> {
    // The first one only warms the caches.
    round(arguments)?;
    for _ in 0..arguments.rounds {
        println!("{}", serde_json::to_string(&round(arguments)?)?);
    }
    Ok(())
}

fn round(arguments: &MeasureArgs) -> anyhow::Result<Round> {
    let (mut through, mut direct) = (Vec::new(), Vec::new());
    let pods = arguments.pods.iter().copied().cycle();
    for (number, pod) in pods.take(arguments.pairs).enumerate() {
        // Who comes second finds warmer caches, so both do as often.
        if number % 2 == 0 {
            through.push(connect(arguments.service)?);
            direct.push(connect(pod)?);
        } else {
            direct.push(connect(pod)?);
            through.push(connect(arguments.service)?);
        }
    }
    Ok(Round { service_ns: median(through), pod_ns: median(direct) })
}

/// The time of connect() alone.
fn connect(target: SocketAddr) -> rustix::io::Result<Duration> {
    let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let started = Instant::now();
    rustix::net::connect(&socket, &target)?;
    let took = started.elapsed();
    converse(&socket)?;
    // Ends with a reset, so that no port stays behind in TIME_WAIT.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(took)
}

/// A request and its answer: the server is done with this connection before the next one comes,
/// or its queue of waiting ones would fill.
fn converse(socket: &OwnedFd) -> rustix::io::Result<()> {
    rustix::net::send(socket, b"GET / HTTP/1.1\r\nHost: cart\r\n\r\n", SendFlags::empty())?;
    let mut answer = [0; 4096];
    match rustix::net::recv(socket, &mut answer, RecvFlags::empty())? {
        (0, _) => Err(Errno::CONNRESET),
        _ => Ok(()),
    }
}

fn median(mut times: Vec<Duration>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0, |time| time.as_nanos() as u64)
}
