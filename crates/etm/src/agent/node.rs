//! This host's name and addresses.

use std::{
    io,
    net::IpAddr,
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, netlink::SocketAddrNetlink,
    recv, socket_with,
};
use tokio::io::unix::AsyncFd;

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// Follows the addresses of this network namespace's interfaces (rtnetlink(7)).
pub(super) struct AddressWatch {
    socket: AsyncFd<OwnedFd>,
}

impl AddressWatch {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            Some(netlink::ROUTE),
        )?;
        bind(&socket, &SocketAddrNetlink::new(0, ADDRESS_GROUPS))?;
        Ok(Self { socket: AsyncFd::new(socket)? })
    }

    /// Addresses that node ports are served on: all but loopback, link-local and unspecified ones.
    pub(super) fn current(&self) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()?
            .into_iter()
            .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
            .map(|interface| interface.ip())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Waits until an address comes or goes, and gives all of them. Cancel safe.
    pub(super) async fn changed(&mut self) -> io::Result<Vec<IpAddr>> {
        let mut ready = self.socket.readable().await?;
        // What the messages say does not matter, only that there were some: a lost one (ENOBUFS)
        // says the same.
        let mut message = [0; 8192];
        loop {
            match recv(ready.get_inner(), &mut message, RecvFlags::empty()) {
                Ok(_) | Err(rustix::io::Errno::NOBUFS) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        drop(ready);
        self.current()
    }
}
