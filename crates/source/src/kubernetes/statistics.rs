use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kube::{core::Status, runtime::watcher};

/// What is watched at the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// Services that this proxy handles.
    Services,
    /// EndpointSlices of Services.
    EndpointSlices,
    /// EndpointSlices of headless Services, while a route leads to one.
    HeadlessSlices,
    /// This node's own Node.
    Node,
    /// Pods of this node.
    Pods,
    /// Traffic policies.
    TrafficPolicies,
    /// Which nodes work.
    NodeHealths,
    /// All Nodes, for the controller.
    Nodes,
    /// The Leases of all nodes.
    NodeLeases,
    /// Monitors of nodes.
    NodeMonitors,
    /// What nodes' kernels have taken out.
    NodeReports,
    /// Releases.
    Releases,
    /// What releases route, for whoever says what becomes of routes.
    ReleaseRoutes,
    /// Pods' annotations and labels, in the namespaces in which a policy or route asks for them.
    PodMetadata,
    /// Traffic routes.
    TrafficRoutes,
    /// Namespaces' labels, while a route asks for them.
    Namespaces,
    /// Routes of the Gateway API for TCP, where the cluster knows them.
    TcpRoutes,
    /// Those for UDP.
    UdpRoutes,
    /// Those for gRPC.
    GrpcRoutes,
    /// Those for HTTP.
    HttpRoutes,
    /// What routes of other namespaces may name, where the cluster knows these grants.
    ReferenceGrants,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::HeadlessSlices => "headlessslices",
            Self::Node => "node",
            Self::Pods => "pods",
            Self::TrafficPolicies => "trafficpolicies",
            Self::NodeHealths => "nodehealths",
            Self::Nodes => "nodes",
            Self::NodeLeases => "leases",
            Self::NodeMonitors => "nodemonitors",
            Self::NodeReports => "nodereports",
            Self::Releases => "releases",
            Self::ReleaseRoutes => "releaseroutes",
            Self::PodMetadata => "podmetadata",
            Self::TrafficRoutes => "trafficroutes",
            Self::Namespaces => "namespaces",
            Self::TcpRoutes => "tcproutes",
            Self::UdpRoutes => "udproutes",
            Self::GrpcRoutes => "grpcroutes",
            Self::HttpRoutes => "httproutes",
            Self::ReferenceGrants => "referencegrants",
        })
    }
}

/// What became of a watch so far; read while it goes on.
#[derive(Debug)]
pub struct Statistics {
    watched: Watched,
    made: Instant,
    /// Milliseconds from `made` to the last event, bookmarks included; zero for none.
    last: AtomicU64,
    received: AtomicU64,
    lists: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl Statistics {
    pub(super) fn new(watched: Watched) -> Self {
        Self {
            watched,
            made: Instant::now(),
            last: AtomicU64::new(0),
            received: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }

    /// Which watch this is of.
    #[must_use]
    pub fn watched(&self) -> Watched {
        self.watched
    }

    /// How long ago the API server last sent something, be it a bookmark; none where it never did.
    #[must_use]
    pub fn last_event_age(&self) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            0 => None,
            last => Some(self.made.elapsed().saturating_sub(Duration::from_millis(last))),
        }
    }

    /// Bytes that the API server sent in answers that were not errors, without headers.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Full lists that were begun, the first one included.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    /// Errors by their cause: an HTTP status, or `connection` or `decoding`.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&'static str, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_received(&self, bytes: usize) {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.last.store(now, Ordering::Relaxed);
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn note_list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_error(&self, error: &watcher::Error) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(cause(error)).or_default() += 1;
    }
}

/// One of few words, since each becomes a time series.
fn cause(error: &watcher::Error) -> &'static str {
    match status(error) {
        Some(400) => "400",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(410) => "410",
        Some(422) => "422",
        Some(429) => "429",
        Some(500) => "500",
        Some(503) => "503",
        Some(504) => "504",
        Some(_) => "other",
        None if is_decoding(error) => "decoding",
        None => "connection",
    }
}

fn is_decoding(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::SerdeError(_))
            | watcher::Error::WatchFailed(kube::Error::SerdeError(_))
            | watcher::Error::NoResourceVersion
    )
}

/// The HTTP status with which the API server refused.
pub(super) fn status(error: &watcher::Error) -> Option<u16> {
    refusal(error).map(|status| status.code)
}

/// What the API server said where it refused.
pub(super) fn refusal(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}
