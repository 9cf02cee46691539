//! This host's name and addresses.

use std::{io, net::IpAddr, os::fd::OwnedFd, thread};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
    socket_with,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

/// The host's name as a Node of it is named, which is in lower case.
pub(crate) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    (!name.is_empty()).then_some(name)
}

/// Addresses that node ports are served on: all but loopback and link-local ones.
pub(super) fn addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(|interface| interface.ip())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Follows the addresses of this network namespace's interfaces (rtnetlink(7)).
pub(super) struct AddressWatch(Receiver<io::Result<()>>);

impl AddressWatch {
    pub(super) fn open() -> io::Result<Self> {
        // Protocol 0 of this family is NETLINK_ROUTE.
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, ADDRESS_GROUPS))?;
        // One waiting message says all: that the addresses are to be read anew.
        let (sender, receiver) = channel(1);
        thread::Builder::new()
            .name("addresses".to_owned())
            .spawn(move || forward(&socket, &sender))?;
        Ok(Self(receiver))
    }

    /// Waits until an address comes or goes, and gives all of them. Cancel safe.
    pub(super) async fn changed(&mut self) -> io::Result<Vec<IpAddr>> {
        match self.0.recv().await {
            Some(received) => received?,
            None => std::future::pending().await,
        }
        addresses()
    }
}

/// Passes on that there were messages; what they say does not matter, and lost ones (ENOBUFS) say
/// the same.
fn forward(socket: &OwnedFd, sender: &Sender<io::Result<()>>) {
    let mut message = [0; 8192];
    loop {
        let received = match recv(socket, &mut message, RecvFlags::empty()) {
            Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        };
        let failed = received.is_err();
        if sender.blocking_send(received).is_err() || failed {
            return;
        }
    }
}
