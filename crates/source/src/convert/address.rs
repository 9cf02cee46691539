//! Addresses as the API server accepts them.

use std::net::IpAddr;

use etm_model::Family;
use thiserror::Error;

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum AddressError {
    #[error("is not an IP address")]
    Unparsable,
    #[error("is the unspecified address")]
    Unspecified,
    #[error("is a loopback address")]
    Loopback,
    #[error("is a link-local address")]
    LinkLocal,
    #[error("is a multicast address")]
    Multicast,
    #[error("is the broadcast address")]
    Broadcast,
}

/// Any address, with IPv4-mapped IPv6 addresses turned into the IPv4 address that they stand for.
pub(crate) fn parse(text: &str) -> Result<IpAddr, AddressError> {
    text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| AddressError::Unparsable)
}

/// An address that a Service may have. Link-local ones are in use for node-local DNS.
pub(crate) fn parse_virtual(text: &str) -> Result<IpAddr, AddressError> {
    let ip = parse(text)?;
    if ip.is_unspecified() {
        Err(AddressError::Unspecified)
    } else if ip.is_loopback() {
        Err(AddressError::Loopback)
    } else if ip.is_multicast() {
        Err(AddressError::Multicast)
    } else if matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) {
        Err(AddressError::Broadcast)
    } else {
        Ok(ip)
    }
}

/// An address that an endpoint or `externalIPs` may have. The API server refuses link-local ones
/// there, since they lead to the node's own services such as a cloud's metadata.
pub(crate) fn parse_endpoint(text: &str) -> Result<IpAddr, AddressError> {
    let ip = parse_virtual(text)?;
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local { Err(AddressError::LinkLocal) } else { Ok(ip) }
}

/// A family as `ipFamilies` and `addressType` write it.
pub(crate) fn parse_family(text: &str) -> Option<Family> {
    match text {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    }
}

/// How `ipFamilies` and `addressType` write a family.
pub(crate) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_ipv4() {
        assert_eq!(parse("::ffff:10.0.0.1").unwrap(), "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn endpoints_refuse_special_addresses() {
        for (text, error) in [
            ("", AddressError::Unparsable),
            ("10.0.0.256", AddressError::Unparsable),
            ("010.0.0.1", AddressError::Unparsable),
            ("fe80::1%eth0", AddressError::Unparsable),
            ("0.0.0.0", AddressError::Unspecified),
            ("::", AddressError::Unspecified),
            ("127.0.0.1", AddressError::Loopback),
            ("::1", AddressError::Loopback),
            ("::ffff:127.0.0.1", AddressError::Loopback),
            ("169.254.169.254", AddressError::LinkLocal),
            ("fe80::1", AddressError::LinkLocal),
            ("224.0.0.1", AddressError::Multicast),
            ("ff02::1", AddressError::Multicast),
            ("255.255.255.255", AddressError::Broadcast),
        ] {
            assert_eq!(parse_endpoint(text), Err(error), "{text}");
        }
    }

    #[test]
    fn services_may_be_link_local() {
        assert!(parse_virtual("169.254.20.10").is_ok());
        assert_eq!(parse_virtual("127.0.0.1"), Err(AddressError::Loopback));
    }
}
