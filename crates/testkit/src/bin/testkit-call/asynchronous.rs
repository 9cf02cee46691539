//! Calls by tokio: non-blocking sockets that wait in epoll.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use etm_testkit::Call;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::arguments::{Arguments, Verb};
use crate::failure::Failure;
use crate::http::{REQUEST, Response};
use crate::{Transport, microseconds, open};

/// A runtime with its sockets, the one in use kept where it may be used again.
pub(crate) struct Asynchronous<'a> {
    runtime: Runtime,
    sockets: Sockets<'a>,
}

struct Sockets<'a> {
    arguments: &'a Arguments,
    tcp: Option<TcpStream>,
    udp: Option<UdpSocket>,
}

impl<'a> Asynchronous<'a> {
    /// Nothing is open yet.
    pub(crate) fn new(arguments: &'a Arguments) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, sockets: Sockets { arguments, tcp: None, udp: None } })
    }
}

impl Transport for Asynchronous<'_> {
    fn call(&mut self, number: u64, call: &mut Call) -> Result<(), Failure> {
        self.runtime.block_on(self.sockets.call(number, call))
    }
}

impl Sockets<'_> {
    async fn call(&mut self, number: u64, call: &mut Call) -> Result<(), Failure> {
        let limit = self.arguments.timeout();
        // What failed is not put back, so the next call opens anew.
        match self.arguments.verb {
            Verb::Tcp => {
                let stream = match self.tcp.take() {
                    Some(stream) => stream,
                    None => self.tcp(call).await?,
                };
                let stream = request(stream, limit, call).await?;
                self.tcp = self.arguments.keep_open.then_some(stream);
            }
            Verb::UdpConnected => {
                let socket = match self.udp.take() {
                    Some(socket) => {
                        if self.arguments.reconnect {
                            let address = open::address(self.arguments, call.target);
                            within(limit, "connect", socket.connect(address)).await?;
                        }
                        socket
                    }
                    None => self.udp(call).await?,
                };
                call.peer = Some(socket.peer_addr().map_err(Failure::at("getpeername"))?);
                let text = number.to_string();
                within(limit, "send", socket.send(text.as_bytes())).await?;
                receive(&socket, limit, number, call).await?;
                self.udp = self.arguments.keeps_datagram_socket().then_some(socket);
            }
            Verb::UdpUnconnected => {
                let address = open::address(self.arguments, call.target);
                let socket = match self.udp.take() {
                    Some(socket) => socket,
                    None => self.unconnected(call)?,
                };
                // Always kept: one socket for all calls is what this verb is about.
                let socket = self.udp.insert(socket);
                let text = number.to_string();
                within(limit, "send", socket.send_to(text.as_bytes(), address)).await?;
                receive(socket, limit, number, call).await?;
            }
        }
        Ok(())
    }

    async fn tcp(&self, call: &mut Call) -> Result<TcpStream, Failure> {
        let address = open::address(self.arguments, call.target);
        let socket = open::socket(self.arguments, address).map_err(Failure::at("socket"))?;
        socket.set_nonblocking(true).map_err(Failure::at("socket"))?;
        let socket = TcpSocket::from_std_stream(socket.into());
        let started = Instant::now();
        let stream = within(self.arguments.timeout(), "connect", socket.connect(address)).await?;
        call.connect_us = Some(microseconds(started));
        Ok(stream)
    }

    async fn udp(&self, call: &mut Call) -> Result<UdpSocket, Failure> {
        let address = open::address(self.arguments, call.target);
        let socket = self.unconnected(call)?;
        let started = Instant::now();
        within(self.arguments.timeout(), "connect", socket.connect(address)).await?;
        call.connect_us = Some(microseconds(started));
        Ok(socket)
    }

    fn unconnected(&self, call: &Call) -> Result<UdpSocket, Failure> {
        let address = open::address(self.arguments, call.target);
        let socket = open::unconnected(self.arguments, address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket.into())
        });
        socket.map_err(Failure::at("socket"))
    }
}

async fn request(
    mut stream: TcpStream,
    limit: Duration,
    call: &mut Call,
) -> Result<TcpStream, Failure> {
    call.peer = Some(stream.peer_addr().map_err(Failure::at("getpeername"))?);
    call.local = Some(stream.local_addr().map_err(Failure::at("getsockname"))?);
    within(limit, "send", stream.write_all(REQUEST)).await?;
    let answer = async {
        let mut response = Response::default();
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).await?;
            if let Some(answer) = response.push(&buffer[..length])? {
                return Ok(answer);
            }
        }
    };
    call.answer = Some(within(limit, "receive", answer).await?);
    Ok(stream)
}

/// Receives until the answer to this datagram comes; a late one to another is passed over.
async fn receive(
    socket: &UdpSocket,
    limit: Duration,
    number: u64,
    call: &mut Call,
) -> Result<(), Failure> {
    call.local = Some(socket.local_addr().map_err(Failure::at("getsockname"))?);
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, source) = within(limit, "receive", socket.recv_from(&mut buffer)).await?;
        if call.received(number, source, &buffer[..length]) {
            return Ok(());
        }
    }
}

async fn within<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    let done = timeout(limit, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    done.map_err(Failure::at(step))
}
