//! Sockets that listen on both families at once.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that may wait to be accepted; more than any test opens at once.
const BACKLOG: i32 = 1024;

/// Listens on a TCP port of every address.
pub(crate) fn tcp(port: u16) -> io::Result<TcpListener> {
    let socket = bind(port, Type::STREAM, Protocol::TCP)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Receives on a UDP port of every address. A reply leaves from the address that the kernel
/// routes it from, which is the one that was asked: a Pod has one of each family.
pub(crate) fn udp(port: u16) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bind(port, Type::DGRAM, Protocol::UDP)?.into())
}

/// An address as people write it, without the IPv4-mapped form of a socket for both families.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn bind(port: u16, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, kind.nonblocking(), Some(protocol))?;
    socket.set_only_v6(false)?;
    if kind == Type::STREAM {
        // A server that starts again must not wait for its predecessor's closed connections.
        socket.set_reuse_address(true)?;
    }
    let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    socket.bind(&address.into()).map_err(|error| {
        let name = if kind == Type::STREAM { "TCP" } else { "UDP" };
        io::Error::new(error.kind(), format!("listen on {name} port {port}: {error}"))
    })?;
    Ok(socket)
}
