//! What is asked for: `--from` and `--to`.

use std::{fmt, net::IpAddr, net::SocketAddr, str::FromStr};

use etm_model::Protocol;

/// Namespace of what is named without one.
const NAMESPACE: &str = "default";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A Pod of this node: `namespace/pod`.
    Pod(String),
    /// A process of the node, in its network namespace and in no Pod's cgroup.
    Node,
    /// A process that is neither.
    Unknown,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct To {
    pub(super) place: Place,
    /// None is TCP, or UDP where there is no such port of TCP.
    pub(super) protocol: Option<Protocol>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A Service.
    Service {
        /// `namespace/name`.
        name: String,
        port: Option<Port>,
    },
    /// An address, a Service's or not.
    Address(SocketAddr),
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Number(u16),
    Name(String),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "node" => Ok(Self::Node),
            "unknown" => Ok(Self::Unknown),
            _ => name(text, "POD, NAMESPACE/POD, node or unknown").map(Self::Pod),
        }
    }
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, protocol) = protocol(text)?;
        let place = match address(text)? {
            Some(address) => Place::Address(address),
            None => service(text)?,
        };
        Ok(Self { place, protocol })
    }
}

/// Takes the protocol off the end. `shop/udp` is a Service of that name.
fn protocol(text: &str) -> Result<(&str, Option<Protocol>), String> {
    let Some((before, last)) = text.rsplit_once('/') else { return Ok((text, None)) };
    let protocol = match last {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        _ if !before.contains(['/', ':']) => return Ok((text, None)),
        _ if last.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
        _ if last.eq_ignore_ascii_case("udp") => Protocol::Udp,
        _ => {
            return Err(format!("`{last}` is neither TCP nor UDP, which are all that etm handles"));
        }
    };
    Ok((before, Some(protocol)))
}

/// An address and port; none where the text is none.
fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            return Err("a port is 1 to 65535".to_owned());
        }
        return Ok(Some(SocketAddr::new(address.ip().to_canonical(), address.port())));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => Err(format!("an address needs a port, as {}", SocketAddr::new(ip, 80))),
        Err(_) => Ok(None),
    }
}

fn service(text: &str) -> Result<Place, String> {
    let (head, port) = match text.split_once(':') {
        Some((head, port)) => (head, Some(self::port(port)?)),
        None => (text, None),
    };
    let name = name(head, "[NAMESPACE/]SERVICE[:PORT][/UDP] or ADDRESS:PORT[/UDP]")?;
    Ok(Place::Service { name, port })
}

fn port(text: &str) -> Result<Port, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(number) if number > 0 => Ok(Port::Number(number)),
            _ => Err("a port is 1 to 65535".to_owned()),
        };
    }
    match part(text) {
        true => Ok(Port::Name(text.to_owned())),
        false => Err(format!("`{text}` is no port: give its number or its name")),
    }
}

/// `namespace/name`, with the namespace filled in.
fn name(text: &str, form: &str) -> Result<String, String> {
    let (namespace, name) = text.split_once('/').unwrap_or((NAMESPACE, text));
    if part(namespace) && part(name) {
        Ok(format!("{namespace}/{name}"))
    } else {
        Err(format!("it has the form {form}"))
    }
}

/// Whether a text can be a name of Kubernetes.
fn part(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> To {
        text.parse().expect("something to call")
    }

    fn service(name: &str, port: Option<Port>, protocol: Option<Protocol>) -> To {
        To { place: Place::Service { name: name.to_owned(), port }, protocol }
    }

    #[test]
    fn services_have_a_namespace_a_port_and_a_protocol_or_not() {
        let http = || Some(Port::Name("http".to_owned()));
        assert_eq!(to("web"), service("default/web", None, None));
        assert_eq!(to("shop/web:http"), service("shop/web", http(), None));
        assert_eq!(
            to("shop/web:80/udp"),
            service("shop/web", Some(Port::Number(80)), Some(Protocol::Udp))
        );
        assert_eq!(to("shop/web/TCP"), service("shop/web", None, Some(Protocol::Tcp)));
        assert_eq!(to("web/UDP"), service("default/web", None, Some(Protocol::Udp)));
        assert_eq!(to("shop/udp"), service("shop/udp", None, None));
    }

    #[test]
    fn addresses_are_those_that_a_caller_names() {
        let at = |text: &str| Place::Address(text.parse().expect("an address"));
        assert_eq!(to("10.96.0.10:80").place, at("10.96.0.10:80"));
        assert_eq!(
            to("[fd00::10]:53/UDP"),
            To { place: at("[fd00::10]:53"), protocol: Some(Protocol::Udp) }
        );
        assert_eq!(to("[::ffff:10.96.0.10]:80").place, at("10.96.0.10:80"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| text.parse::<To>().expect_err("no place");
        assert_eq!(wrong("fd00::10"), "an address needs a port, as [fd00::10]:80");
        assert_eq!(wrong("web:70000"), "a port is 1 to 65535");
        assert_eq!(
            wrong("web:80/sctp"),
            "`sctp` is neither TCP nor UDP, which are all that etm handles"
        );
        assert_eq!(wrong("web:"), "`` is no port: give its number or its name");
        let form = "it has the form [NAMESPACE/]SERVICE[:PORT][/UDP] or ADDRESS:PORT[/UDP]";
        assert_eq!(wrong("shop/"), form);
    }

    #[test]
    fn callers_are_pods_the_node_or_unknown() {
        let from = |text: &str| text.parse::<From>();
        assert_eq!(from("cart-0"), Ok(From::Pod("default/cart-0".to_owned())));
        assert_eq!(from("default/node"), Ok(From::Pod("default/node".to_owned())));
        assert_eq!((from("node"), from("unknown")), (Ok(From::Node), Ok(From::Unknown)));
        assert_eq!(
            from("a/b/c").expect_err("no caller"),
            "it has the form POD, NAMESPACE/POD, node or unknown"
        );
    }
}
