use std::sync::Arc;

use kube::{Api, Client, Resource, core::NamespaceResourceScope, runtime::watcher};

use super::{
    Options,
    client::Access,
    configuration::{self, ConfigurationError},
    kind::Kind,
    servers::{self, Servers},
    statistics::Statistics,
    watch::Watch,
};
use crate::convert::{HEADLESS, PROXY_NAME};

/// The way to the API server, and the watches that were made of it.
pub(super) struct Connection {
    pub(super) access: Arc<Access>,
    pub(super) servers: Arc<Servers>,
    pub(super) statistics: Vec<Arc<Statistics>>,
    proxy_name: Option<String>,
}

impl Connection {
    pub(super) async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let (config, in_cluster) = configuration::load(options).await?;
        // Who serves unproven names may be anyone: none but what the user names then.
        let proven =
            config.cluster_url.scheme_str() == Some("https") && !config.accept_invalid_certs;
        let state = options.state.as_deref().filter(|_| proven);
        let given = options.api_servers.iter().map(|server| servers::with_port(server)).collect();
        let servers = Arc::new(Servers::new(given, in_cluster, state));
        let access = Arc::new(Access::new(config, Arc::clone(&servers)));
        let proxy_name = options.source.proxy_name.clone();
        Ok(Self { access, servers, statistics: Vec::new(), proxy_name })
    }

    /// A watch of a kind, and what becomes of it among the others.
    pub(super) fn watch<K>(
        &mut self,
        config: watcher::Config,
    ) -> Result<Watch<K>, ConfigurationError>
    where
        K: Kind<Object: Resource<DynamicType = ()>>,
    {
        self.watch_by(Api::all, config)
    }

    /// The same in one namespace.
    pub(super) fn watch_in<K>(
        &mut self,
        namespace: &str,
        config: watcher::Config,
    ) -> Result<Watch<K>, ConfigurationError>
    where
        K: Kind<Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>>,
    {
        self.watch_by(|client| Api::namespaced(client, namespace), config)
    }

    fn watch_by<K: Kind>(
        &mut self,
        api: impl FnOnce(Client) -> Api<K::Object>,
        config: watcher::Config,
    ) -> Result<Watch<K>, ConfigurationError> {
        let statistics = Arc::new(Statistics::new(K::WATCHED));
        self.statistics.push(Arc::clone(&statistics));
        let client = made(self.access.client(Some(Arc::clone(&statistics))))?;
        Ok(Watch::new(api(client), config, statistics, self.proxy_name.clone()))
    }

    /// A client for what is no watch.
    pub(super) fn client(&self) -> Result<Client, ConfigurationError> {
        made(self.access.client(None))
    }
}

fn made(client: Result<Client, kube::Error>) -> Result<Client, ConfigurationError> {
    client.map_err(|error| ConfigurationError::Client(error.into()))
}

/// The selector of objects that are not left to others by their labels.
pub(super) fn unlabelled(proxy_name: Option<&str>) -> String {
    match proxy_name {
        // Those with this proxy's own name are wanted too, which no one selector says.
        Some(_) => format!("!{HEADLESS}"),
        None => format!("!{PROXY_NAME},!{HEADLESS}"),
    }
}
