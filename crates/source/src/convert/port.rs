//! Port numbers and protocols as the API server accepts them.

use etm_model::Protocol;

/// What to do about a port number that [`number`] refuses.
pub(crate) const NUMBER_HINT: &str = "use a number from 1 to 65535; this port is left out";
/// What to do about a protocol that [`protocol`] refuses.
pub(crate) const PROTOCOL_HINT: &str = "use TCP, UDP or SCTP; this port is left out";

/// A port number that a packet can carry.
pub(crate) fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// A protocol by its name; absent means TCP.
pub(crate) fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// Why [`number`] refuses a number.
pub(crate) fn out_of_range(port: i32) -> String {
    format!("port {port} is out of range")
}

/// Why [`protocol`] refuses a name.
pub(crate) fn unknown_protocol(name: Option<&str>) -> String {
    format!("protocol `{}` is not known", name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_range() {
        assert_eq!([number(1), number(65535)], [Some(1), Some(65535)]);
        assert_eq!([number(0), number(-1), number(65536), number(i32::MAX)], [None; 4]);
    }

    #[test]
    fn protocol_defaults_to_tcp() {
        assert_eq!(protocol(None), Some(Protocol::Tcp));
        assert_eq!(protocol(Some("SCTP")), Some(Protocol::Sctp));
        assert_eq!(protocol(Some("tcp")), None);
    }
}
