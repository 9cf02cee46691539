use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use serde::Serialize;

use crate::route::CallerNumber;

/// Who calls, as the kernel's maps have it: a Pod of this node, or the node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Caller {
    /// `namespace/pod`; empty where only its cgroup is known yet.
    pub name: Arc<str>,
    /// UID of the Pod, as its cgroup's name has it; empty for the node.
    pub uid: Arc<str>,
    /// Its IPv4 address, once it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address, once it has one.
    pub ipv6: Option<Ipv6Addr>,
    /// Its number in routes; 0 where it has none.
    pub number: CallerNumber,
}
