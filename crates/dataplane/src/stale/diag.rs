//! A socket that lists and ends the sockets of one network namespace.

use std::{io, os::fd::OwnedFd};

use etm_model::Protocol;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::message::{self, Listed, Said};

/// Bytes of a listing that are received at once: the kernel fills no more.
const BUFFER: usize = 32 * 1024;

/// Of the network namespace that the thread was in when it was opened.
pub(super) struct Diag {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Diag {
    pub(super) fn open() -> io::Result<Self> {
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Every socket of a family and protocol.
    pub(super) fn list(&mut self, family: u8, protocol: Protocol) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        self.ask(&message::list(family, protocol), |socket| listed.push(socket))?;
        Ok(listed)
    }

    /// Ends a socket; `false` where it is not there any more.
    pub(super) fn destroy(&mut self, socket: &Listed, protocol: Protocol) -> io::Result<bool> {
        match self.ask(&message::destroy(socket, protocol), drop) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, request: &[u8], mut each: impl FnMut(Listed)) -> io::Result<()> {
        net::send(&self.socket, request, SendFlags::empty())?;
        loop {
            let (length, _) = net::recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())?;
            for said in message::messages(&self.buffer[..length]) {
                match said {
                    Said::Socket(socket) => each(socket),
                    Said::End(0) => return Ok(()),
                    Said::End(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }
}
