use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener},
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen, socket_with,
    sockopt::{set_ipv6_v6only, set_socket_reuseaddr},
};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted: more than there are load balancers.
const BACKLOG: i32 = 128;

/// Listens on a TCP port of every address of this host.
pub(super) fn open(port: u16) -> io::Result<TcpListener> {
    let socket = match bound(AddressFamily::INET6, (Ipv6Addr::UNSPECIFIED, port).into()) {
        // A kernel without IPv6.
        Err(rustix::io::Errno::AFNOSUPPORT) => {
            bound(AddressFamily::INET, (Ipv4Addr::UNSPECIFIED, port).into())?
        }
        result => result?,
    };
    listen(&socket, BACKLOG)?;
    TcpListener::from_std(StdListener::from(socket))
}

fn bound(family: AddressFamily, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // An agent that starts again must not wait for its predecessor's closed connections.
    set_socket_reuseaddr(&socket, true)?;
    if family == AddressFamily::INET6 {
        set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}
