//! The end of sockets that still point at a Pod that is gone or ejected.
//!
//! Which sockets these are, says the kernel's record of each: that a Service's decision led it to that
//! Pod. They are looked for by cookie, which no two sockets ever share, in each network namespace, and
//! the kernel is told the cookie again when it is to end one. So one that was closed, or connected to
//! somewhere else, in the meantime is left alone, and so is every socket without such a record.

mod diag;
mod message;
mod namespaces;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
};

use etm_abi::Flow;
use etm_model::{BackendKey, FrontendKey, Listener, Protocol, from_abi};
use thiserror::Error;

use self::{diag::Diag, message::FAMILIES};
use crate::{dataplane::Dataplane, error::MapError, flows::FlowRecords};

/// Where a Service's decision led a socket: what it asked for, and the Pod that it got.
pub type Led = (FrontendKey, BackendKey);

/// Why sockets could not be ended.
#[derive(Debug, Error)]
pub enum StaleError {
    /// The process may not enter other network namespaces.
    #[error("no permission to enter the network namespaces of Pods")]
    Permission,
    /// The kernel cannot list or end sockets.
    #[error("this kernel cannot list or end {protocol} sockets (CONFIG_INET_DIAG_DESTROY)")]
    Unsupported {
        /// Of which protocol.
        protocol: Protocol,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused something else.
    #[error("could not list or end sockets")]
    Call(#[source] io::Error),
    /// The records could not be read.
    #[error(transparent)]
    Records(#[from] MapError),
}

/// What a pass did.
#[derive(Debug, Default)]
pub struct Pass {
    /// How many sockets were ended of each decision.
    pub ended: BTreeMap<Led, u64>,
    /// Sockets that have a record and are in no network namespace that is seen.
    pub unseen: usize,
    /// What went wrong; the rest was done.
    pub error: Option<StaleError>,
}

/// Ends sockets, from a thread that does nothing else: it goes from network namespace to network
/// namespace.
pub struct StaleSockets {
    records: FlowRecords,
}

impl Dataplane {
    /// What ends sockets that a Service's decision led to a Pod.
    ///
    /// # Errors
    ///
    /// Where the records of sockets cannot be mapped.
    pub fn stale_sockets(&self) -> Result<StaleSockets, MapError> {
        Ok(StaleSockets { records: FlowRecords::open(self.set())? })
    }

    /// Where Services' decisions led the sockets that are open now, each once. Whether such a socket
    /// is one of TCP or of UDP is not known: both are named.
    ///
    /// # Errors
    ///
    /// Where the records of sockets cannot be read.
    pub fn led(&self) -> Result<Vec<Led>, MapError> {
        let flows = FlowRecords::open(self.set())?.all()?;
        let mut led: Vec<Led> = flows.values().flat_map(led_by).collect();
        led.sort_unstable();
        led.dedup();
        Ok(led)
    }
}

impl StaleSockets {
    /// Whether this process may enter the network namespaces of Pods.
    ///
    /// # Errors
    ///
    /// [`StaleError::Permission`] where it may not.
    pub fn permitted() -> Result<(), StaleError> {
        namespaces::may_enter().map_err(refused)
    }

    /// Ends every socket that was led where `is_stale` says, asked once more right before each end.
    pub fn end(&mut self, is_stale: &dyn Fn(&Led) -> bool) -> Pass {
        let mut pass = Pass::default();
        if let Err(error) = self.try_end(is_stale, &mut pass) {
            pass.error = Some(error);
        }
        pass
    }

    fn try_end(
        &mut self,
        is_stale: &dyn Fn(&Led) -> bool,
        pass: &mut Pass,
    ) -> Result<(), StaleError> {
        let mut wanted = self.records.all()?;
        wanted.retain(|_, flow| led_by(flow).iter().any(is_stale));
        if !wanted.is_empty() {
            self.end_here(&mut wanted, is_stale, pass)?;
        }
        if !wanted.is_empty() {
            let home = namespaces::own().map_err(StaleError::Call)?;
            let elsewhere = self.end_elsewhere(&mut wanted, is_stale, pass);
            // Not to keep the last one of them in being.
            namespaces::enter(&home).map_err(refused).and(elsewhere)?;
        }
        // What has no record any more was closed meanwhile.
        let left = self.records.all()?;
        pass.unseen = wanted.keys().filter(|cookie| left.contains_key(cookie)).count();
        Ok(())
    }

    fn end_elsewhere(
        &mut self,
        wanted: &mut HashMap<u64, Flow>,
        is_stale: &dyn Fn(&Led) -> bool,
        pass: &mut Pass,
    ) -> Result<(), StaleError> {
        for namespace in namespaces::others().map_err(StaleError::Call)? {
            if wanted.is_empty() {
                break;
            }
            namespaces::enter(&namespace).map_err(refused)?;
            self.end_here(wanted, is_stale, pass)?;
        }
        Ok(())
    }

    /// Ends those of the network namespace that the thread is in, and takes those that it finds out
    /// of the wanted ones.
    fn end_here(
        &mut self,
        wanted: &mut HashMap<u64, Flow>,
        is_stale: &dyn Fn(&Led) -> bool,
        pass: &mut Pass,
    ) -> Result<(), StaleError> {
        let mut diag = Diag::open().map_err(StaleError::Call)?;
        for (family, protocol) in
            FAMILIES.into_iter().flat_map(|family| PROTOCOLS.map(|protocol| (family, protocol)))
        {
            let call = |source| failed(protocol, source);
            for socket in diag.list(family, protocol).map_err(call)? {
                let Some(flow) = wanted.remove(&socket.cookie()) else { continue };
                let led = led(&flow, protocol);
                if socket.peer() != SocketAddr::new(led.1.ip, led.1.port)
                    || !socket.is_connected()
                    || !is_stale(&led)
                {
                    continue;
                }
                // That it ends is no word against the Pod.
                self.records.look_away(&flow);
                if diag.destroy(&socket, protocol).map_err(call)? {
                    *pass.ended.entry(led).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Udp, Protocol::Tcp];

/// Where a socket was led, by its record, which does not tell the protocol.
fn led_by(flow: &Flow) -> [Led; 2] {
    PROTOCOLS.map(|protocol| led(flow, protocol))
}

fn led(flow: &Flow, protocol: Protocol) -> Led {
    let listener = Listener::Port(u16::from_be(flow.service_port), protocol);
    let frontend = FrontendKey { ip: from_abi(&flow.service), listener };
    let port = u16::from_be(flow.peer_port);
    (frontend, BackendKey { ip: from_abi(&flow.peer), port, protocol })
}

fn refused(error: io::Error) -> StaleError {
    match error.raw_os_error() {
        Some(libc::EPERM) => StaleError::Permission,
        _ => StaleError::Call(error),
    }
}

fn failed(protocol: Protocol, source: io::Error) -> StaleError {
    match source.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOENT | libc::EINVAL) => {
            StaleError::Unsupported { protocol, source }
        }
        _ => refused(source),
    }
}
