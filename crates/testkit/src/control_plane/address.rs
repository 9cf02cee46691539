//! Addresses on loopback that nobody else uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;

use crate::Error;

/// A port of this process's own loopback address.
///
/// Each process has one of the addresses of 127.0.0.0/8, made of its id. There no outgoing
/// connection takes a port by chance while a server that is to come back is down.
pub(super) fn free() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((own(process::id()), 0));
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(Error::io("find a free port on loopback"))
}

/// Process ids have 22 bits at most.
fn own(pid: u32) -> Ipv4Addr {
    let [_, high, middle, low] = pid.to_be_bytes();
    Ipv4Addr::new(127, 64 + high % 64, middle, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_differ_and_stay_on_loopback() {
        assert_eq!(own(4_194_303), Ipv4Addr::new(127, 127, 255, 255));
        assert_eq!(own(1), Ipv4Addr::new(127, 64, 0, 1));
        assert!(free().expect("a port").ip().is_loopback());
    }
}
