//! Between the model's addresses and the bytes of the ABI.

use std::net::{IpAddr, Ipv4Addr};

use etm_abi::{
    ANY_PORT, ANY_PROTOCOL, Address, PROTOCOL_TCP, PROTOCOL_UDP, ServiceKey4, ServiceKey6,
    SourceKey,
};
use etm_model::{FrontendKey, Listener, Protocol, from_abi, to_abi};

pub(super) enum Key {
    V4(ServiceKey4),
    V6(ServiceKey6),
}

/// The ABI's key of a frontend; none for a protocol that has no hook.
pub(super) fn key(frontend: &FrontendKey) -> Option<Key> {
    let (port, protocol) = match frontend.listener {
        Listener::AnyPort => (ANY_PORT, ANY_PROTOCOL),
        Listener::Port(port, Protocol::Tcp) => (port.to_be(), PROTOCOL_TCP),
        Listener::Port(port, Protocol::Udp) => (port.to_be(), PROTOCOL_UDP),
        Listener::Port(_, Protocol::Sctp) => return None,
    };
    Some(match frontend.ip {
        IpAddr::V4(ip) => {
            Key::V4(ServiceKey4::new(u32::from_ne_bytes(ip.octets()), port, protocol))
        }
        IpAddr::V6(_) => Key::V6(ServiceKey6::new(&to_abi(frontend.ip), port, protocol)),
    })
}

/// What a key of `SOURCES` begins with for a frontend; none for a protocol that has no hook.
pub(super) fn source_key(frontend: &FrontendKey, source: Address) -> Option<SourceKey> {
    let (port, protocol) = match key(frontend)? {
        Key::V4(key) => {
            let (_, port, protocol) = key.parts();
            (port, protocol)
        }
        Key::V6(key) => {
            let (_, port, protocol) = key.parts();
            (port, protocol)
        }
    };
    Some(SourceKey { service: to_abi(frontend.ip), port, protocol, pad: 0, source })
}

/// The frontend that a key of `SOURCES` begins with; none for a key that etm never writes.
pub(super) fn source_frontend(key: &SourceKey) -> Option<FrontendKey> {
    Some(FrontendKey { ip: from_abi(&key.service), listener: listener(key.port, key.protocol)? })
}

fn listener(port: u16, protocol: u8) -> Option<Listener> {
    match (port, protocol) {
        (ANY_PORT, ANY_PROTOCOL) => Some(Listener::AnyPort),
        (port, PROTOCOL_TCP) => Some(Listener::Port(u16::from_be(port), Protocol::Tcp)),
        (port, PROTOCOL_UDP) => Some(Listener::Port(u16::from_be(port), Protocol::Udp)),
        _ => None,
    }
}

/// The frontend of a key that was found in `SERVICES4`; none for a key that etm never writes.
pub(super) fn frontend4(key: ServiceKey4) -> Option<FrontendKey> {
    let (address, port, protocol) = key.parts();
    let ip = IpAddr::V4(Ipv4Addr::from(address.to_ne_bytes()));
    Some(FrontendKey { ip, listener: listener(port, protocol)? })
}

/// The frontend of a key that was found in `SERVICES6`; none for a key that etm never writes.
pub(super) fn frontend6(key: ServiceKey6) -> Option<FrontendKey> {
    let (address, port, protocol) = key.parts();
    Some(FrontendKey { ip: from_abi(&address), listener: listener(port, protocol)? })
}
