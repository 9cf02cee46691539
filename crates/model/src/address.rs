//! Addresses between the model and the maps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etm_abi as abi;

/// An address as the maps have it: IPv4 in its mapped form.
#[must_use]
pub fn to_abi(ip: IpAddr) -> abi::Address {
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

/// The address that the maps' words stand for; a mapped one is IPv4.
#[must_use]
pub fn from_abi(address: &abi::Address) -> IpAddr {
    if abi::is_mapped(address) {
        return Ipv4Addr::from(address[3].to_ne_bytes()).into();
    }
    let mut octets = [0; 16];
    for (bytes, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(address) {
        *bytes = word.to_ne_bytes();
    }
    Ipv6Addr::from(octets).into()
}
