//! Opening sockets of the wanted family, type and protocol.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::arguments::{Arguments, Verb};

/// The address to hand to the kernel: as asked, or in its IPv4-mapped form.
pub(crate) fn address(arguments: &Arguments, target: SocketAddr) -> SocketAddr {
    match target.ip() {
        IpAddr::V4(ip) if arguments.mapped => {
            SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), target.port())
        }
        _ => target,
    }
}

/// A blocking socket that fits the address.
pub(crate) fn socket(arguments: &Arguments, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match arguments.verb {
        Verb::Tcp if arguments.mptcp => (Type::STREAM, Protocol::MPTCP),
        Verb::Tcp => (Type::STREAM, Protocol::TCP),
        Verb::UdpConnected | Verb::UdpUnconnected => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // The timeout for sending also bounds connect, which so stays one blocking system call.
    socket.set_write_timeout(Some(arguments.timeout()))?;
    socket.set_read_timeout(Some(arguments.timeout()))?;
    if let Some(port) = arguments.local_port {
        // What a connection before this one left behind must not keep the port.
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(any(address), port).into())?;
    }
    Ok(socket)
}

/// A UDP socket that is not connected. With `mapped` it serves both families.
pub(crate) fn unconnected(arguments: &Arguments, address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(arguments, address)?;
    if arguments.local_port.is_none() {
        socket.bind(&SocketAddr::new(any(address), 0).into())?;
    }
    Ok(socket)
}

/// Every address of the family of another one.
fn any(address: SocketAddr) -> IpAddr {
    if address.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}
