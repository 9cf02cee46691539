//! `testkit-flows`: makes so many connected sockets that their cookies collide in a table of some
//! size, looks at what `getpeername` says of them, and prints what it saw as one line of JSON.
#![forbid(unsafe_code)]

mod crowd;
mod race;

use std::io::{self, Write, stdin, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use socket2::{Domain, Socket, Type};

/// Sockets whose cookies collide.
#[derive(Parser)]
struct Arguments {
    /// Places of the table: the cookie modulo this is a socket's place.
    #[arg(long)]
    slots: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One connection, then others until some have its place; all of them are open when the line
    /// is printed, and closed when one is read.
    Crowd {
        target: SocketAddr,
        /// How many shall have the first one's place.
        #[arg(long)]
        rivals: usize,
    },
    /// Several threads that open, look and close at the same time.
    Race {
        targets: Vec<SocketAddr>,
        /// Sockets in all.
        #[arg(long)]
        sockets: u64,
        #[arg(long, default_value_t = 2)]
        threads: u64,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testkit-flows: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    match &arguments.what {
        What::Crowd { target, rivals } => {
            let crowd = crowd::gather(*target, *rivals, arguments.slots)?;
            say(&crowd.report()?)?;
            stdin().read_line(&mut String::new())?;
            drop(crowd);
            say(&serde_json::json!({}))?;
            stdin().read_line(&mut String::new())?;
            Ok(())
        }
        What::Race { targets, sockets, threads } => {
            say(&race::run(targets, *sockets, *threads, arguments.slots)?)
        }
    }
}

fn say(report: &serde_json::Value) -> io::Result<()> {
    writeln!(stdout(), "{report}")?;
    stdout().flush()
}

/// A UDP socket that is not connected yet: no packet is sent when it is.
fn socket(target: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(target), Type::DGRAM, None)
}

fn peer(socket: &Socket) -> io::Result<Option<SocketAddr>> {
    Ok(socket.peer_addr()?.as_socket())
}
