//! Backends as the kernel has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etm_abi as abi;

use crate::{object::Protocol, plan::BackendKey};

/// The record of an available backend; none where the protocol has no place in the maps.
pub(super) fn record(key: BackendKey) -> Option<abi::Backend> {
    Some(abi::Backend {
        address: address(key.ip),
        port: key.port.to_be(),
        protocol: number(key.protocol)?,
        state: abi::BACKEND_AVAILABLE,
        reserved: [0; 11],
    })
}

/// The backend that a record is of; none where it is not one that [`record`] makes.
pub(super) fn key(record_read: &abi::Backend) -> Option<BackendKey> {
    let protocol = match record_read.protocol {
        abi::PROTOCOL_TCP => Protocol::Tcp,
        abi::PROTOCOL_UDP => Protocol::Udp,
        _ => return None,
    };
    let port = u16::from_be(record_read.port);
    let key = BackendKey { ip: ip(&record_read.address), port, protocol };
    (record(key).as_ref() == Some(record_read)).then_some(key)
}

/// IP protocol number of a protocol that has a place in the maps.
pub(super) fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(abi::PROTOCOL_TCP),
        Protocol::Udp => Some(abi::PROTOCOL_UDP),
        Protocol::Sctp => None,
    }
}

fn address(ip: IpAddr) -> abi::Address {
    match ip {
        IpAddr::V4(ip) => abi::mapped(u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            let (words, _) = octets.as_chunks::<4>();
            let mut address = [0; 4];
            for (word, bytes) in address.iter_mut().zip(words) {
                *word = u32::from_ne_bytes(*bytes);
            }
            address
        }
    }
}

fn ip(address: &abi::Address) -> IpAddr {
    if abi::is_mapped(address) {
        return Ipv4Addr::from(address[3].to_ne_bytes()).into();
    }
    let mut octets = [0; 16];
    for (bytes, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(address) {
        *bytes = word.to_ne_bytes();
    }
    Ipv6Addr::from(octets).into()
}
