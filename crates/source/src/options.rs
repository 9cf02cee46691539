use std::net::IpAddr;

/// What the agent knows that the source does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of this node; a Node object of this name is its own.
    pub node: String,
    /// Addresses of this node's interfaces; loopback ones are dropped.
    pub addresses: Vec<IpAddr>,
    /// The name of this proxy in label `service.kubernetes.io/service-proxy-name`. Without one,
    /// every Service with that label is left to others.
    pub proxy_name: Option<String>,
}
