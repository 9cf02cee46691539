//! `testkit-pod`: answers over HTTP and UDP with its name and with whom it sees, until its input
//! ends, so that it never outlives the test that started it.
#![forbid(unsafe_code)]

mod http;
mod listen;
mod relay;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser;
use tokio::io::{AsyncReadExt, stdin};
use tokio::task::LocalSet;

/// A Pod's servers, over IPv4 and IPv6.
#[derive(Parser)]
struct Arguments {
    /// The name that it answers with.
    #[arg(long)]
    name: String,
    /// A port for HTTP; may be given several times.
    #[arg(long)]
    tcp: Vec<u16>,
    /// A port for the echo over UDP; may be given several times.
    #[arg(long)]
    udp: Vec<u16>,
    /// Where to ask in turn for each request over HTTP, with a connection of its own; what is answered
    /// there is in the answer.
    #[arg(long)]
    relay: Option<SocketAddr>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testkit-pod: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let name: Rc<str> = arguments.name.into();
        for port in &arguments.tcp {
            let (listener, name) = (listen::tcp(*port)?, Rc::clone(&name));
            tokio::task::spawn_local(http::serve(listener, name, arguments.relay));
        }
        for port in &arguments.udp {
            tokio::task::spawn_local(udp::serve(listen::udp(*port)?, Rc::clone(&name)));
        }
        println!("ready tcp={:?} udp={:?}", arguments.tcp, arguments.udp);
        let mut nothing = [0; 64];
        while stdin().read(&mut nothing).await? > 0 {}
        Ok(())
    })
}
