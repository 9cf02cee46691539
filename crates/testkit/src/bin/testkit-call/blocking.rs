//! Calls by blocking system calls.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use etm_testkit::Call;

use crate::arguments::{Arguments, Verb};
use crate::failure::Failure;
use crate::http::{REQUEST, Response};
use crate::{Transport, microseconds, open};

/// Blocking sockets, the one in use kept where it may be used again.
pub(crate) struct Blocking<'a> {
    arguments: &'a Arguments,
    tcp: Option<TcpStream>,
    udp: Option<UdpSocket>,
}

impl<'a> Blocking<'a> {
    /// Nothing is open yet.
    pub(crate) fn new(arguments: &'a Arguments) -> Self {
        Self { arguments, tcp: None, udp: None }
    }

    fn connect(&self, call: &mut Call) -> Result<socket2::Socket, Failure> {
        let address = open::address(self.arguments, call.target);
        let socket = open::socket(self.arguments, address).map_err(Failure::at("socket"))?;
        let started = Instant::now();
        socket.connect(&address.into()).map_err(Failure::at("connect"))?;
        call.connect_us = Some(microseconds(started));
        Ok(socket)
    }

    fn tcp(&self, mut stream: TcpStream, call: &mut Call) -> Result<TcpStream, Failure> {
        call.peer = Some(stream.peer_addr().map_err(Failure::at("getpeername"))?);
        call.local = Some(stream.local_addr().map_err(Failure::at("getsockname"))?);
        stream.write_all(REQUEST).map_err(Failure::at("send"))?;
        call.answer = Some(Response::default().read(&mut stream).map_err(Failure::at("receive"))?);
        Ok(stream)
    }
}

impl Transport for Blocking<'_> {
    fn call(&mut self, number: u64, call: &mut Call) -> Result<(), Failure> {
        // What failed is not put back, so the next call opens anew.
        match self.arguments.verb {
            Verb::Tcp => {
                let stream = match self.tcp.take() {
                    Some(stream) => stream,
                    None => self.connect(call)?.into(),
                };
                let stream = self.tcp(stream, call)?;
                self.tcp = self.arguments.keep_open.then_some(stream);
            }
            Verb::UdpConnected => {
                let socket: UdpSocket = match self.udp.take() {
                    Some(socket) => {
                        if self.arguments.reconnect {
                            let address = open::address(self.arguments, call.target);
                            socket.connect(address).map_err(Failure::at("connect"))?;
                        }
                        socket
                    }
                    None => self.connect(call)?.into(),
                };
                call.peer = Some(socket.peer_addr().map_err(Failure::at("getpeername"))?);
                socket.send(number.to_string().as_bytes()).map_err(Failure::at("send"))?;
                receive(&socket, number, call)?;
                self.udp = self.arguments.keeps_datagram_socket().then_some(socket);
            }
            Verb::UdpUnconnected => {
                let address = open::address(self.arguments, call.target);
                let socket = match self.udp.take() {
                    Some(socket) => socket,
                    None => open::unconnected(self.arguments, address)
                        .map_err(Failure::at("socket"))?
                        .into(),
                };
                // Always kept: one socket for all calls is what this verb is about.
                let socket = self.udp.insert(socket);
                exchange(socket, address, number, call)?;
            }
        }
        Ok(())
    }
}

fn exchange(
    socket: &UdpSocket,
    address: SocketAddr,
    number: u64,
    call: &mut Call,
) -> Result<(), Failure> {
    socket.send_to(number.to_string().as_bytes(), address).map_err(Failure::at("send"))?;
    receive(socket, number, call)
}

/// Receives until the answer to this datagram comes; a late one to another is passed over.
fn receive(socket: &UdpSocket, number: u64, call: &mut Call) -> Result<(), Failure> {
    call.local = Some(socket.local_addr().map_err(Failure::at("getsockname"))?);
    let mut buffer = [0; 65_535];
    loop {
        let (length, source) = socket.recv_from(&mut buffer).map_err(Failure::at("receive"))?;
        if call.received(number, source, &buffer[..length]) {
            return Ok(());
        }
    }
}
