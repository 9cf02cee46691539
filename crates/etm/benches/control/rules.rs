//! The kernel's own word on changes of nftables, which it gives as soon as they count.
//!
//! Listing the rules to look for one would take longer than to write it, and keep the writer from
//! them meanwhile.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use etm_testkit::Place;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, socket_with,
        sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout},
    },
};

use crate::{
    change::PATIENCE,
    cluster::{Change, NAMESPACE, PREFIX},
};

/// `1 << (NFNLGRP_NFTABLES - 1)` of linux/netfilter/nfnetlink.h.
const RULES: u32 = 1 << 6;

/// Room for what comes while this thread waits for a processor.
const ROOM: usize = 256 << 20;

/// A message holds one object; those with many elements are cut into several.
const MESSAGE: usize = 1 << 20;

/// After so long without a message it is looked whether there is still something to wait for.
const INTERVAL: Duration = Duration::from_millis(100);

/// All changes of nftables in a network.
pub(crate) struct Rules(OwnedFd);

impl Rules {
    pub(crate) fn listen(place: &Place) -> anyhow::Result<Self> {
        let socket = place.in_network(|| {
            let flags = SocketFlags::CLOEXEC;
            let socket =
                socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
            set_socket_recv_buffer_size_force(&socket, ROOM)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(INTERVAL))?;
            bind(&socket, &SocketAddrNetlink::new(0, RULES))?;
            Ok(socket)
        })?;
        Ok(Self(socket))
    }

    /// Waits for the first change of the rules of each Service after its own change.
    pub(crate) fn watch(
        &self,
        changes: &[Change],
        started: &AtomicUsize,
    ) -> anyhow::Result<Vec<Option<Instant>>> {
        let mut seen = vec![None; changes.len()];
        let (mut known, mut open, mut last) = (0, BTreeMap::new(), Instant::now());
        let mut message = vec![0; MESSAGE];
        while known < changes.len() || !open.is_empty() {
            let length = match recv(&self.0, &mut *message, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN | Errno::INTR) => 0,
                Err(Errno::NOBUFS) => bail!("the kernel told more than there was room for"),
                Err(errno) => return Err(io::Error::from(errno).into()),
            };
            let now = Instant::now();
            let by_now = started.load(Ordering::Relaxed);
            open.extend((known..by_now).map(|number| (changes[number].service, number)));
            known = by_now;
            for service in named(&message[..length]) {
                if let Some(number) = open.remove(&service) {
                    seen[number] = Some(now);
                    last = now;
                }
            }
            ensure!(last.elapsed() < PATIENCE, "changes of Services {open:?} never came");
        }
        Ok(seen)
    }
}

/// The Services that a message names: kube-proxy names chains after them.
fn named(message: &[u8]) -> impl Iterator<Item = usize> {
    let prefix = format!("{NAMESPACE}/{PREFIX}").into_bytes();
    let starts = 0..message.len().saturating_sub(prefix.len());
    starts.filter(move |start| message[*start..].starts_with(&prefix)).filter_map(|start| {
        let rest = &message[start + NAMESPACE.len() + 1 + PREFIX.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        digits.map(|digit| char::from(*digit)).collect::<String>().parse().ok()
    })
}
