//! Messages of `NETLINK_SOCK_DIAG` (linux/netlink.h, linux/inet_diag.h): what sockets there are, and
//! the end of one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_model::Protocol;

/// `SOCK_DIAG_BY_FAMILY`: lists sockets.
const LIST: u16 = 20;
/// `SOCK_DESTROY`: ends one.
const DESTROY: u16 = 21;

/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const ACKNOWLEDGED: u16 = 0x5;

/// `NLMSG_ERROR`; one of errno 0 says that all went well.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct inet_diag_sockid`.
const ID: usize = 48;

/// Address families of a listing: `AF_INET` and `AF_INET6`.
pub(super) const FAMILIES: [u8; 2] = [2, 10];

/// States of net/tcp_states.h, as sockets of either protocol are in them.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;

/// A socket, as the kernel lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    family: u8,
    state: u8,
    /// `struct inet_diag_sockid`, by which the kernel finds it again.
    id: [u8; ID],
}

/// What a message of the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// There is this socket.
    Socket(Listed),
    /// All was said, with this errno; 0 is none.
    End(i32),
}

/// Asks for every socket of a family and protocol.
pub(super) fn list(family: u8, protocol: Protocol) -> Vec<u8> {
    request(LIST, DUMP, family, protocol, &[0; ID])
}

/// Asks for a socket's end.
pub(super) fn destroy(socket: &Listed, protocol: Protocol) -> Vec<u8> {
    request(DESTROY, ACKNOWLEDGED, socket.family, protocol, &socket.id)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`, for sockets of every state.
fn request(kind: u16, flags: u16, family: u8, protocol: Protocol, id: &[u8; ID]) -> Vec<u8> {
    let number =
        if protocol == Protocol::Udp { etm_abi::PROTOCOL_UDP } else { etm_abi::PROTOCOL_TCP };
    let mut body = vec![family, number, 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(id);
    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut message = Vec::from(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Splits what was received into messages; what is cut off is left out.
pub(super) fn messages(mut received: &[u8]) -> impl Iterator<Item = Said> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*received.first_chunk()?) as usize;
        let message = received.get(..length).filter(|message| message.len() >= HEADER)?;
        received = received.get(length.next_multiple_of(4)..).unwrap_or_default();
        said(u16::from_ne_bytes([message[4], message[5]]), &message[HEADER..])
    })
}

fn said(kind: u16, body: &[u8]) -> Option<Said> {
    match kind {
        LIST => {
            let id = body.get(4..)?.first_chunk()?;
            Some(Said::Socket(Listed { family: body[0], state: body[1], id: *id }))
        }
        DONE | ERROR => body.first_chunk().map(|errno| Said::End(-i32::from_ne_bytes(*errno))),
        _ => None,
    }
}

impl Listed {
    /// Its cookie, as `SO_COOKIE` has it.
    pub(super) fn cookie(&self) -> u64 {
        let word =
            |at: usize| u64::from(u32::from_ne_bytes([0, 1, 2, 3].map(|byte| self.id[at + byte])));
        word(40) | word(44) << 32
    }

    /// Where it is connected to.
    pub(super) fn peer(&self) -> SocketAddr {
        let port = u16::from_be_bytes([self.id[2], self.id[3]]);
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.id[20..36]);
        let ip = if self.family == FAMILIES[0] {
            Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()
        } else {
            IpAddr::from(octets).to_canonical()
        };
        SocketAddr::new(ip, port)
    }

    /// Whether it is connected, and not being closed by its owner.
    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.state, ESTABLISHED | CLOSE_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(family: u8, address: &[u8]) -> Vec<u8> {
        let mut body = vec![family, ESTABLISHED, 0, 0];
        body.extend([0x12, 0x34, 0, 53]);
        body.extend([0; 16]);
        body.extend(address);
        body.resize(body.len() + 16 - address.len(), 0);
        body.extend([0; 4]);
        body.extend(0x1_0000_0007_u64.to_ne_bytes());
        body.extend([0; 20]);
        let mut message = Vec::from((HEADER as u32 + body.len() as u32).to_ne_bytes());
        message.extend(LIST.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    #[test]
    fn sockets_of_both_families_are_read() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 2];
        for (family, address) in [(2, &[10, 0, 0, 2][..]), (10, &mapped)] {
            let received = [listed(family, address), listed(family, address)].concat();
            let found: Vec<_> = messages(&received).collect();
            let [Said::Socket(socket), _] = found[..] else { panic!("{found:?}") };
            assert_eq!(socket.peer(), "10.0.0.2:53".parse().unwrap());
            assert_eq!(socket.cookie(), 0x1_0000_0007);
            assert!(socket.is_connected());
        }
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let whole = listed(2, &[10, 0, 0, 2]);
        for length in 0..whole.len() {
            assert_eq!(messages(&whole[..length]).count(), 0, "{length}");
        }
        let mut short = whole;
        short[..4].copy_from_slice(&20_u32.to_ne_bytes());
        assert_eq!(messages(&short).count(), 0);
    }

    #[test]
    fn a_socket_is_ended_by_what_it_was_listed_with() {
        let received = listed(10, &[0xfd; 16]);
        let Some(Said::Socket(socket)) = messages(&received).next() else { panic!("no socket") };
        let request = destroy(&socket, Protocol::Udp);
        assert_eq!(request.len(), HEADER + 8 + ID);
        assert_eq!(request[HEADER..HEADER + 2], [10, 17]);
        assert_eq!(request[HEADER + 8..], received[HEADER + 4..][..ID]);
    }
}
