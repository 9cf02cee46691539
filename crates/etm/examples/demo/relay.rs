//! A chain of Services: servers that pass each request on to the next Service, and who calls the first.
//! Both are this program in a process of its own, in the network and the cgroup of a Pod.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _, stdin},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use etm_testkit::{HollowPod, Place};

use crate::town::POD_PORT;

/// How long one hop may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of a chain.
#[derive(Args, Debug)]
pub(crate) struct RelayArgs {
    /// What it adds to the answer.
    #[arg(long)]
    name: String,
    /// The Service that it asks first; the last one asks none.
    #[arg(long)]
    next: Option<SocketAddr>,
}

/// Who calls the first Service of a chain.
#[derive(Args, Debug)]
pub(crate) struct WalkArgs {
    #[arg(long)]
    target: SocketAddr,
    /// One connection after the other, so many.
    #[arg(long)]
    count: usize,
}

/// Serves until its input ends, so that it never outlives the demo.
pub(crate) fn relay(arguments: RelayArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, POD_PORT))?;
    println!("ready");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (name, next) = (arguments.name.clone(), arguments.next);
            thread::spawn(move || {
                // Whoever called sees that it lacks the rest.
                let _ = answer(stream, &name, next);
            });
        }
    });
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn answer(mut stream: TcpStream, name: &str, next: Option<SocketAddr>) -> anyhow::Result<()> {
    let rest = next.map(ask).transpose()?.unwrap_or_default();
    stream.write_all(format!("{name} {rest}").as_bytes())?;
    Ok(())
}

/// The names along the way from here.
fn ask(target: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut names = String::new();
    stream.read_to_string(&mut names)?;
    Ok(names)
}

/// Prints the way that each request went.
pub(crate) fn walk(arguments: &WalkArgs) -> anyhow::Result<()> {
    for _ in 0..arguments.count {
        println!("{}", ask(arguments.target)?.trim());
    }
    Ok(())
}

/// A running server of a chain; it ends when this is dropped.
pub(crate) struct Relay {
    process: Child,
}

impl Relay {
    /// Starts one in a Pod.
    pub(crate) fn start(pod: &HollowPod, next: Option<SocketAddr>) -> anyhow::Result<Self> {
        let mut command = this_program(place(pod)?)?;
        command.args(["relay", "--name", &pod.name]);
        if let Some(next) = next {
            command.arg("--next").arg(next.to_string());
        }
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut relay = Self { process };
        let output = relay.process.stdout.take().context("it has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "ready\n", "the server in Pod {} did not start", pod.name);
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The ways of so many requests of each Pod, all Pods at once.
pub(crate) fn walks(
    callers: &[HollowPod],
    target: SocketAddr,
    count: usize,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let started = callers.iter().map(|pod| {
        let mut command = this_program(place(pod)?)?;
        command.args(["walk", "--target", &target.to_string(), "--count", &count.to_string()]);
        Ok((pod.name.clone(), command.stdout(Stdio::piped()).spawn()?))
    });
    let started: Vec<_> = started.collect::<anyhow::Result<_>>()?;
    let ways = started.into_iter().map(|(name, process)| {
        let output = process.wait_with_output()?;
        ensure!(output.status.success(), "a request of Pod {name} failed: {}", output.status);
        let ways = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
        Ok((name, ways))
    });
    ways.collect()
}

fn place(pod: &HollowPod) -> anyhow::Result<&Place> {
    let container = pod.container("main").with_context(|| format!("{} does not run", pod.name))?;
    Ok(&container.place)
}

fn this_program(place: &Place) -> anyhow::Result<Command> {
    Ok(place.command(std::env::current_exe()?))
}
