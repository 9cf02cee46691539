//! Backends as the kernel has them.

use etm_abi::{self as abi, BACKEND_AVAILABLE, BACKEND_EJECTED, BACKEND_OUT};

use crate::{
    address::{from_abi, to_abi},
    object::Protocol,
    plan::BackendKey,
};

/// The record of an available backend; none where the protocol has no place in the maps.
pub(super) fn record(key: BackendKey, incarnation: u32) -> Option<abi::Backend> {
    Some(abi::Backend {
        address: to_abi(key.ip),
        port: key.port.to_be(),
        protocol: number(key.protocol)?,
        state: BACKEND_AVAILABLE,
        // 0 says of a socket that it is not counted.
        incarnation: incarnation.max(1),
        ..abi::Backend::default()
    })
}

/// The backend that a record is of, in service or not; none where it is not one that [`record`]
/// makes.
pub(super) fn key(record_read: &abi::Backend) -> Option<BackendKey> {
    let protocol = match record_read.protocol {
        abi::PROTOCOL_TCP => Protocol::Tcp,
        abi::PROTOCOL_UDP => Protocol::Udp,
        _ => return None,
    };
    let port = u16::from_be(record_read.port);
    let key = BackendKey { ip: from_abi(&record_read.address), port, protocol };
    let made = record(key, record_read.incarnation)?;
    let same = made.address == record_read.address && made.incarnation == record_read.incarnation;
    let state = matches!(record_read.state, BACKEND_AVAILABLE | BACKEND_EJECTED | BACKEND_OUT);
    (same && state).then_some(key)
}

/// IP protocol number of a protocol that has a place in the maps.
pub(super) fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(abi::PROTOCOL_TCP),
        Protocol::Udp => Some(abi::PROTOCOL_UDP),
        Protocol::Sctp => None,
    }
}
