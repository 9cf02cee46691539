//! Which frontend is meant by what is called.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use anyhow::bail;
use etm_abi::{FRONTEND_NODE_ONLY, FRONTEND_SOURCES, Frontend};
use etm_model::{Family, FrontendKey, Listener, Protocol};

use crate::explain::{
    asked::{Place, Port, To},
    choices,
};

/// What the maps hold of frontends.
pub(super) struct Frontends {
    pub(super) all: BTreeMap<FrontendKey, Frontend>,
    /// `namespace/name:port/TCP`, by the id that frontends have.
    pub(super) names: BTreeMap<u32, String>,
    /// The node's addresses, on which its node ports are.
    pub(super) own: BTreeSet<IpAddr>,
}

/// One address, port and protocol of a Service.
struct Entry<'a> {
    address: SocketAddr,
    protocol: Protocol,
    frontend: &'a Frontend,
    /// `namespace/name`.
    service: &'a str,
    /// The port's name, empty where it has none.
    port: &'a str,
}

impl Frontends {
    /// The key that a call is looked up by. An address that is no Service's has one too.
    pub(super) fn find(&self, to: &To, family: Option<Family>) -> anyhow::Result<FrontendKey> {
        match &to.place {
            Place::Address(address) => Ok(self.at(*address, to.protocol)),
            Place::Service { name, port } => {
                self.of_service(name, port.as_ref(), to.protocol, family)
            }
        }
    }

    /// Ports that an address has, `80/TCP`.
    pub(super) fn ports(&self, ip: IpAddr) -> Vec<String> {
        let at = self.all.keys().filter(|key| key.ip == ip);
        at.filter_map(|key| match key.listener {
            Listener::Port(port, protocol) => Some(format!("{port}/{protocol}")),
            Listener::AnyPort => None,
        })
        .collect()
    }

    fn at(&self, address: SocketAddr, protocol: Option<Protocol>) -> FrontendKey {
        let key = |protocol| FrontendKey {
            ip: address.ip(),
            listener: Listener::Port(address.port(), protocol),
        };
        let udp = key(Protocol::Udp);
        match protocol {
            Some(protocol) => key(protocol),
            None if self.all.contains_key(&udp) && !self.all.contains_key(&key(Protocol::Tcp)) => {
                udp
            }
            None => key(Protocol::Tcp),
        }
    }

    fn of_service(
        &self,
        name: &str,
        port: Option<&Port>,
        protocol: Option<Protocol>,
        family: Option<Family>,
    ) -> anyhow::Result<FrontendKey> {
        let of_service: Vec<_> = self.entries().filter(|entry| entry.service == name).collect();
        if of_service.is_empty() {
            let services: BTreeSet<_> = self.entries().map(|entry| entry.service).collect();
            bail!(
                "--to: there is no Service {name} in the maps: {}; etm get services lists them all",
                choices(services, name)
            );
        }
        let ports = ports(&of_service);
        let mut found = of_service;
        found.retain(|entry| match port {
            None => true,
            Some(Port::Number(number)) => entry.address.port() == *number,
            Some(Port::Name(name)) => entry.port == name,
        });
        let wanted = match protocol {
            None if found.iter().all(|entry| entry.protocol == Protocol::Udp) => Protocol::Udp,
            None => Protocol::Tcp,
            Some(protocol) => protocol,
        };
        found.retain(|entry| entry.protocol == wanted);
        if found.is_empty() {
            let port = port.map_or_else(String::new, |port| format!(" {port}"));
            let protocol = protocol.map_or_else(String::new, |protocol| format!(" of {protocol}"));
            bail!("--to: Service {name} has no port{port}{protocol}: it has {ports}");
        }
        if found.iter().any(|entry| entry.port != found[0].port) {
            let ports = self::ports(&found);
            bail!(
                "--to: Service {name} has several ports: name one of {ports}, as {name}:{}",
                found[0].port
            );
        }
        let families = [Family::V4, Family::V6];
        let has = |wanted: Family| found.iter().any(|entry| is(entry, wanted));
        let Some(wanted) =
            families.into_iter().find(|it| family.is_none_or(|family| family == *it) && has(*it))
        else {
            bail!("--family: Service {name} has no address of that family; leave it away");
        };
        found.retain(|entry| is(entry, wanted));
        keep_where(&mut found, |entry| !self.is_own(entry.address.ip()));
        keep_where(&mut found, |entry| {
            entry.frontend.flags & (FRONTEND_NODE_ONLY | FRONTEND_SOURCES) == 0
        });
        if found.iter().any(|entry| !alike(entry, &found[0])) {
            let addresses = found.iter().map(|entry| entry.address.to_string());
            bail!(
                "--to: addresses of Service {name} lead to different members: name one of {}",
                addresses.collect::<Vec<_>>().join(", ")
            );
        }
        Ok(self.at(found[0].address, Some(found[0].protocol)))
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.all.iter().filter_map(|(key, frontend)| {
            let Listener::Port(number, protocol) = key.listener else { return None };
            let (head, _) = self.names.get(&frontend.service)?.rsplit_once('/')?;
            let (service, port) = head.split_once(':').unwrap_or((head, ""));
            let address = SocketAddr::new(key.ip, number);
            Some(Entry { address, protocol, frontend, service, port })
        })
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own.contains(&ip)
    }
}

fn is(entry: &Entry<'_>, family: Family) -> bool {
    entry.address.is_ipv4() == (family == Family::V4)
}

/// Whether a call to one is decided as a call to the other.
fn alike(one: &Entry<'_>, other: &Entry<'_>) -> bool {
    let of = |entry: &Entry<'_>| {
        let Frontend { table, members, flags, .. } = *entry.frontend;
        (if members == 0 { 0 } else { table }, members, flags, entry.address.port())
    };
    of(one) == of(other)
}

/// Keeps those for which it holds, where there are any.
fn keep_where<T>(items: &mut Vec<T>, holds: impl Fn(&T) -> bool) {
    if items.iter().any(&holds) {
        items.retain(holds);
    }
}

/// `http (80/TCP), dns (53/UDP)`.
fn ports(entries: &[Entry<'_>]) -> String {
    let mut ports: BTreeMap<(&str, Protocol), BTreeSet<u16>> = BTreeMap::new();
    for entry in entries {
        ports.entry((entry.port, entry.protocol)).or_default().insert(entry.address.port());
    }
    let shown = ports.into_iter().map(|((name, protocol), numbers)| {
        let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        let numbers = format!("{}/{protocol}", numbers.join(", "));
        if name.is_empty() { numbers } else { format!("{name} ({numbers})") }
    });
    shown.collect::<Vec<_>>().join(", ")
}
