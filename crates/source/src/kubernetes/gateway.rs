//! The kinds of the Gateway API, which a cluster may have or not, in this version or that, and may get
//! or lose at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use etm_model::{Problem, RouteKind};
use futures_util::{FutureExt as _, future::BoxFuture};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::watcher,
};
use tokio::time::sleep;

use super::{
    Statistics,
    client::Access,
    kind::{Batch, Kind},
    routes::{GatewayRoutes, GrpcRoute, HttpRoute, ReferenceGrants, TcpRoute, UdpRoute},
    watch::{Outcome, Watch},
};
use crate::convert::GATEWAY_GROUP;

/// How long after the last look is looked again, at least; half as much again is random. Nothing but
/// a name is asked for, which any account may.
const AGAIN: Duration = Duration::from_secs(30);

/// Versions in which the kinds are read, the best first; what is read of them is the same in each.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha2"];

/// Versions by the plural of each kind that the API server serves.
type Found = BTreeMap<String, BTreeSet<&'static str>>;

/// One kind, watched while the cluster knows it.
struct Maybe<K: Kind> {
    kind: &'static str,
    plural: &'static str,
    statistics: Arc<Statistics>,
    watch: Option<(&'static str, Watch<K>)>,
}

/// All of them.
pub(super) struct Gateway {
    access: Arc<Access>,
    looking: BoxFuture<'static, Result<Found, kube::Error>>,
    looked: bool,
    failing: Option<Problem>,
    tcp: Maybe<GatewayRoutes<TcpRoute>>,
    udp: Maybe<GatewayRoutes<UdpRoute>>,
    grpc: Maybe<GatewayRoutes<GrpcRoute>>,
    http: Maybe<GatewayRoutes<HttpRoute>>,
    grants: Maybe<ReferenceGrants>,
}

/// What came.
pub(super) enum News {
    Found(Result<Found, kube::Error>),
    Tcp(Outcome<GatewayRoutes<TcpRoute>>),
    Udp(Outcome<GatewayRoutes<UdpRoute>>),
    Grpc(Outcome<GatewayRoutes<GrpcRoute>>),
    Http(Outcome<GatewayRoutes<HttpRoute>>),
    Grants(Outcome<ReferenceGrants>),
}

impl Gateway {
    pub(super) fn new(access: Arc<Access>) -> Self {
        let looking = look(&access, Duration::ZERO);
        Self {
            access,
            looking,
            looked: false,
            failing: None,
            tcp: Maybe::new("TCPRoute", "tcproutes"),
            udp: Maybe::new("UDPRoute", "udproutes"),
            grpc: Maybe::new("GRPCRoute", "grpcroutes"),
            http: Maybe::new("HTTPRoute", "httproutes"),
            grants: Maybe::new("ReferenceGrant", "referencegrants"),
        }
    }

    /// What became of each watch.
    pub(super) fn statistics(&self) -> [Arc<Statistics>; 5] {
        [
            &self.tcp.statistics,
            &self.udp.statistics,
            &self.grpc.statistics,
            &self.http.statistics,
            &self.grants.statistics,
        ]
        .map(Arc::clone)
    }

    /// Waits for what comes next. Cancel safe.
    pub(super) async fn next(&mut self) -> News {
        future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<News> {
        if let Poll::Ready(found) = self.looking.poll_unpin(context) {
            self.looking = look(&self.access, AGAIN);
            return Poll::Ready(News::Found(found));
        }
        let tcp = self.tcp.poll_next(context).map(News::Tcp);
        let or = |poll: Poll<News>, next: &mut dyn FnMut() -> Poll<News>| match poll {
            Poll::Ready(news) => Poll::Ready(news),
            Poll::Pending => next(),
        };
        let udp = or(tcp, &mut || self.udp.poll_next(context).map(News::Udp));
        let grpc = or(udp, &mut || self.grpc.poll_next(context).map(News::Grpc));
        let http = or(grpc, &mut || self.http.poll_next(context).map(News::Http));
        or(http, &mut || self.grants.poll_next(context).map(News::Grants))
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, news: News, batch: &mut Batch) {
        let known = batch.observed_routes.len();
        match news {
            News::Found(found) => self.find(found, batch),
            News::Tcp(outcome) => self.tcp.take(outcome, batch),
            News::Udp(outcome) => self.udp.take(outcome, batch),
            News::Grpc(outcome) => self.grpc.take(outcome, batch),
            News::Http(outcome) => self.http.take(outcome, batch),
            News::Grants(outcome) => self.grants.take(outcome, batch),
        }
        for (owner, observed) in &mut batch.observed_routes[known..] {
            let version = match owner.kind {
                RouteKind::TcpRoute => self.tcp.version(),
                RouteKind::UdpRoute => self.udp.version(),
                RouteKind::GrpcRoute => self.grpc.version(),
                _ => self.http.version(),
            };
            if let (Some(observed), Some(version)) = (observed, version) {
                observed.api_version = format!("{GATEWAY_GROUP}/{version}");
            }
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        let Some(news) = self.next().now_or_never() else { return false };
        self.take(news, batch);
        true
    }

    /// Whether it is known which kinds there are, and each was listed once or cannot be; or the API
    /// server says nothing of it.
    pub(super) fn is_settled(&self) -> bool {
        self.looked
            && self.tcp.is_settled()
            && self.udp.is_settled()
            && self.grpc.is_settled()
            && self.http.is_settled()
            && self.grants.is_settled()
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let routes = self.tcp.problems().chain(self.udp.problems());
        let routes = routes.chain(self.grpc.problems()).chain(self.http.problems());
        self.failing.clone().into_iter().chain(routes).chain(self.grants.problems())
    }

    fn find(&mut self, found: Result<Found, kube::Error>, batch: &mut Batch) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // One that does not answer at all is told of by every other watch.
                self.looked |= matches!(error, kube::Error::Api(_));
                self.failing = Some(failing(&error));
                return;
            }
        };
        (self.looked, self.failing) = (true, None);
        let access = &self.access;
        let opened = [
            self.tcp.find(&found, access, batch),
            self.udp.find(&found, access, batch),
            self.grpc.find(&found, access, batch),
            self.http.find(&found, access, batch),
            self.grants.find(&found, access, batch),
        ];
        self.failing = opened.into_iter().find_map(|opened| opened.err().map(|e| failing(&e)));
    }
}

impl<K: Kind<Object = DynamicObject>> Maybe<K> {
    fn new(kind: &'static str, plural: &'static str) -> Self {
        let statistics = Arc::new(Statistics::new(K::WATCHED));
        Self { kind, plural, statistics, watch: None }
    }

    fn version(&self) -> Option<&'static str> {
        self.watch.as_ref().map(|(version, _)| *version)
    }

    /// Begins or ends the watch by the versions that are served. One that goes on in its version is
    /// left alone.
    fn find(
        &mut self,
        found: &Found,
        access: &Access,
        batch: &mut Batch,
    ) -> Result<(), kube::Error> {
        let served = found.get(self.plural);
        let is_served = |version: &str| served.is_some_and(|served| served.contains(version));
        if let Some((version, watch)) = &mut self.watch
            && !is_served(version)
        {
            watch.table.clear(batch);
            self.watch = None;
        }
        let best = VERSIONS.into_iter().find(|version| is_served(version));
        if let (None, Some(version)) = (&self.watch, best) {
            let client = access.client(Some(Arc::clone(&self.statistics)))?;
            let kind = GroupVersionKind::gvk(GATEWAY_GROUP, version, self.kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, self.plural);
            let api = Api::all_with(client, &resource);
            let statistics = Arc::clone(&self.statistics);
            let watch = Watch::new(api, watcher::Config::default(), statistics, None);
            self.watch = Some((version, watch));
        }
        Ok(())
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Outcome<K>> {
        match &mut self.watch {
            Some((_, watch)) => watch.poll_next(context),
            None => Poll::Pending,
        }
    }

    fn take(&mut self, outcome: Outcome<K>, batch: &mut Batch) {
        if let Some((_, watch)) = &mut self.watch {
            watch.take(outcome, batch);
        }
    }

    fn is_settled(&self) -> bool {
        self.watch.as_ref().is_none_or(|(_, watch)| watch.is_settled())
    }

    fn problems(&self) -> impl Iterator<Item = Problem> {
        self.watch.iter().flat_map(|(_, watch)| watch.problems())
    }
}

/// Looks which kinds are served, a while from now.
fn look(access: &Access, after: Duration) -> BoxFuture<'static, Result<Found, kube::Error>> {
    let client = access.client(None);
    let half = after.as_millis() as u64 / 2 + 1;
    let more = Duration::from_millis(RandomState::new().hash_one(0) % half);
    async move {
        sleep(after + more).await;
        found(&client?).await
    }
    .boxed()
}

async fn found(client: &Client) -> Result<Found, kube::Error> {
    let mut found = Found::new();
    let group = format!("/apis/{GATEWAY_GROUP}");
    let request = http::Request::get(group).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let group = match client.request::<Group>(request).await {
        Ok(group) => group,
        Err(error) if is_missing(&error) => return Ok(found),
        Err(error) => return Err(error),
    };
    let served = |version: &&str| group.versions.iter().any(|served| served.version == **version);
    for version in VERSIONS.iter().filter(|version| served(version)) {
        let named = format!("{GATEWAY_GROUP}/{version}");
        match client.list_api_group_resources(&named).await {
            Ok(list) => {
                for resource in list.resources {
                    found.entry(resource.name).or_default().insert(*version);
                }
            }
            // It went in between.
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// What the API server says of a group.
#[derive(Clone, Debug, serde::Deserialize)]
struct Group {
    versions: Vec<Version>,
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Version {
    version: String,
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn failing(error: &kube::Error) -> Problem {
    Problem {
        object: format!("discovery of {GATEWAY_GROUP}"),
        field: String::new(),
        reason: etm_model::with_causes(error),
        hint: "the routes that are known count on; it is looked for again every half minute".into(),
    }
}
