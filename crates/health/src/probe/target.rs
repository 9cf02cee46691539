use std::{net::SocketAddr, sync::Arc};

use etm_model::{BackendKey, Probe};

/// One probe of one backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Of whom the answer tells.
    pub backend: BackendKey,
    /// What is asked.
    pub probe: Arc<Probe>,
    /// Where: the Pod's own address.
    pub address: SocketAddr,
}
