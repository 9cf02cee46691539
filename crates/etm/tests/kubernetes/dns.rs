//! A name server in a node's network that knows the same addresses, whatever the name.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use etm_testkit::Node;

use crate::forward::within;

/// A question or answer of type A (RFC 1035, 3.2.2).
const TYPE_A: [u8; 2] = [0, 1];

/// Listens on port 53 of the node's loopback; ends with the process.
pub(crate) struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    pub(crate) fn start(node: &Node, addresses: [Ipv4Addr; 2]) -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        let socket = within(node, move || UdpSocket::bind(local).expect("port 53"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let names = Arc::clone(&asked);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, resolver)) = socket.recv_from(&mut query) {
                let (name, answer) = answer(&query[..length], &addresses).expect("a query");
                names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                socket.send_to(&answer, resolver).expect("an answer");
            }
        });
        Self { asked }
    }

    /// The names that it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name in a query of one question, and the answer to it: a header of 12 bytes, the question
/// (labels, type and class) and for type A records that point to its name (RFC 1035, 4.1).
fn answer(query: &[u8], addresses: &[Ipv4Addr]) -> Option<(String, Vec<u8>)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?));
        at += length;
    }
    let found = if query.get(at..at + 2)? == TYPE_A { addresses } else { &[] };
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(found.len()).ok()?, 0, 0, 0, 0]);
    answer.extend(query.get(12..at + 4)?);
    for address in found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some((labels.join("."), answer))
}
