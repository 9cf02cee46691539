//! What the Pods of the bench answer with, one thread a port.

use std::{
    io::{ErrorKind, Read as _, Write as _, stdin},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    thread,
};

use anyhow::Context as _;
use etm_bench::processor::{self, Role};

/// A byte is answered with a byte, on TCP and UDP.
pub(crate) const ECHO: u16 = 8080;

/// [`TRANSFER`] bytes are answered with a byte.
pub(crate) const SINK: u16 = 8081;

/// Size of one bulk transfer.
pub(crate) const TRANSFER: usize = 64 << 20;

/// Serves until its input ends, which it does with the process that started this one.
pub(crate) fn run() -> anyhow::Result<()> {
    // Away from the client, so that it answers while the client goes on.
    processor::pin(Role::Server)?;
    let echo = listen(ECHO)?;
    let sink = listen(SINK)?;
    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)).context("bind UDP")?;
    thread::spawn(move || serve(&echo, answer));
    thread::spawn(move || serve(&sink, swallow));
    thread::spawn(move || reflect(&datagrams));
    println!("ready");
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("listen on {port}"))?;
    // Some clients close without a word and come again at once: a full queue would stall them.
    rustix::net::listen(&listener, 4096)?;
    Ok(listener)
}

fn serve(listener: &TcpListener, converse: fn(TcpStream) -> std::io::Result<()>) {
    for stream in listener.incoming() {
        match stream.and_then(converse) {
            Ok(()) => {}
            // Clients end with a reset, to leave no port in TIME_WAIT.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => eprintln!("server: {error}"),
        }
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte)? > 0 {
        stream.write_all(&byte)?;
    }
    Ok(())
}

fn swallow(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut due = TRANSFER;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => due -= count,
        }
        if due == 0 {
            stream.write_all(&[0])?;
            due = TRANSFER;
        }
    }
}

fn reflect(socket: &UdpSocket) {
    let mut buffer = [0; 64];
    loop {
        let echoed = socket
            .recv_from(&mut buffer)
            .and_then(|(count, peer)| socket.send_to(&buffer[..count], peer));
        if let Err(error) = echoed {
            eprintln!("server: {error}");
        }
    }
}
