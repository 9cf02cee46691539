//! `testkit-call`: makes calls with real sockets and prints what the system calls returned, one
//! line of JSON for each call.
#![forbid(unsafe_code)]

mod arguments;
mod asynchronous;
mod blocking;
mod failure;
mod http;
mod open;

use std::io::{self, Write, stdin, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use etm_testkit::Call;

use crate::arguments::{Arguments, Runtime};
use crate::failure::Failure;

/// Makes calls over sockets of one kind, which may stay open from call to call.
trait Transport {
    /// Makes one call, and fills in what it learns on the way. `number` tells datagrams apart.
    fn call(&mut self, number: u64, call: &mut Call) -> Result<(), Failure>;
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testkit-call: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let mut transport: Box<dyn Transport> = match arguments.runtime {
        Runtime::Std => Box::new(blocking::Blocking::new(arguments)),
        Runtime::Tokio => Box::new(asynchronous::Asynchronous::new(arguments)?),
    };
    if !arguments.interactive {
        for number in 0..arguments.count {
            make(transport.as_mut(), number, arguments.target)?;
        }
        return Ok(());
    }
    for (number, line) in (0..).zip(stdin().lines()) {
        let target = match line?.trim() {
            "" => arguments.target,
            other => other.parse().map_err(io::Error::other)?,
        };
        make(transport.as_mut(), number, target)?;
    }
    Ok(())
}

fn make(transport: &mut dyn Transport, number: u64, target: SocketAddr) -> io::Result<()> {
    let mut call = Call::to(target);
    let started = Instant::now();
    if let Err(failure) = transport.call(number, &mut call) {
        call.errno = failure.errno();
        call.error = Some(failure.to_string());
    }
    call.total_us = microseconds(started);
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, &call)?;
    writeln!(out)?;
    out.flush()
}

/// The time since `started`.
fn microseconds(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
