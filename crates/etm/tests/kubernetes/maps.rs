//! What the agent of a test has written into the kernel's maps.

use std::net::SocketAddr;
use std::path::PathBuf;

use etm_abi::Frontend;
use etm_dataplane::View;
use etm_model::{Contents, FrontendKey, Listener, Protocol};
use etm_testkit::wait::until;

use crate::scene::Scene;

impl Scene {
    /// All of it; nothing until the agent has made its maps.
    pub(crate) fn contents(&self) -> Option<Contents> {
        View::open(&self.maps()).ok()?.contents().ok()
    }

    /// The frontend of a Service for TCP; none where it is not there.
    pub(crate) fn frontend(&self, address: SocketAddr) -> Option<Frontend> {
        View::open(&self.maps()).ok()?.frontend(&key(address))
    }

    /// How many backends a Service has; none where it is not there.
    pub(crate) fn members(&self, address: SocketAddr) -> Option<u32> {
        Some(self.frontend(address)?.members)
    }

    /// Waits until a Service leads to so many backends, or with none is gone.
    #[track_caller]
    pub(crate) fn until_members(&self, address: SocketAddr, members: Option<u32>) {
        until(&format!("{address} has {members:?} backends"), || self.members(address) == members);
    }

    fn maps(&self) -> PathBuf {
        self.pins.path().join("etm")
    }
}

/// The key of a Service's frontend for TCP.
pub(crate) fn key(address: SocketAddr) -> FrontendKey {
    let listener = Listener::Port(address.port(), Protocol::Tcp);
    FrontendKey { ip: address.ip(), listener }
}
