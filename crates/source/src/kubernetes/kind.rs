use std::{fmt::Debug, net::SocketAddr, sync::Arc};

use etm_api::ReportedEndpoint;
use etm_model::{Change, EndpointSlice, Node, ObjectName, Pod, PodChange, Protocol, RouteOwner};
use k8s_openapi::{
    api::{core::v1, discovery::v1 as discovery},
    jiff::Timestamp,
};
use serde::de::DeserializeOwned;

use super::{
    nodes::NodeChange, observed::ObservedPolicy, releases::ObservedRelease, routes::ObservedRoute,
    servers, statistics::Watched,
};
use crate::{
    Arrival,
    asks::Asks,
    convert::{self, Converted, ServiceObject},
};

/// What events come to, until it is told.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) pods: Vec<PodChange>,
    pub(super) arrivals: Vec<Arrival>,
    /// What this Node's object says now; of one that is gone, its name.
    pub(super) node: Option<Node>,
    /// Its UID; empty where it is gone.
    pub(super) node_uid: Option<String>,
    /// Slices of the API servers' own Service, by name: their addresses, none when they are gone.
    pub(super) api_servers: Vec<(Arc<str>, Vec<SocketAddr>)>,
    /// Policies, and whether they ask for the weights of their namespace's Pods.
    pub(super) asking: Vec<(ObjectName, bool)>,
    /// What objects with routes ask for; none of one that has none any more.
    pub(super) asking_routes: Vec<(RouteOwner, Option<Asks>)>,
    /// Objects with routes and their status, for whoever writes it; none of one that is gone.
    pub(super) observed_routes: Vec<(RouteOwner, Option<ObservedRoute>)>,
    /// Policies with their status, for whoever writes it; none of one that is gone.
    pub(super) observed: Vec<(ObjectName, Option<ObservedPolicy>)>,
    /// Releases with their status, likewise.
    pub(super) releases: Vec<(ObjectName, Option<ObservedRelease>)>,
    /// What became of nodes, for whoever writes which of them work.
    pub(super) nodes: Vec<NodeChange>,
    /// What nodes have reported, for whoever tells of it; none of a report that is gone.
    pub(super) reports: Vec<(Arc<str>, Option<Vec<ReportedEndpoint>>)>,
}

/// A kind of objects that is watched.
pub(super) trait Kind: 'static {
    /// Which one.
    const WATCHED: Watched;
    /// Whether a cluster may lack the kind itself, since it is no part of Kubernetes.
    const MAY_LACK: bool = false;
    /// Whether it is told of then.
    const NEEDED: bool = true;
    /// As the API server sends it.
    type Object: kube::Resource + Clone + Debug + DeserializeOwned + Send;
    /// What is needed of it.
    type Model;
    /// What it takes to tell that it is gone.
    type Told;

    fn convert(object: &Self::Object) -> Converted<Self::Model>;

    fn told(model: &Self::Model) -> Self::Told;

    /// Tells that an object was made or changed; `before` is what was told of it.
    fn set(model: Self::Model, before: Option<Self::Told>, batch: &mut Batch);

    /// Tells that an object is gone.
    fn remove(name: &ObjectName, told: Self::Told, batch: &mut Batch);

    /// When that happened which changed the object.
    fn triggered(_object: &Self::Object) -> Option<Timestamp> {
        None
    }
}

pub(super) struct Services;

impl Kind for Services {
    const WATCHED: Watched = Watched::Services;
    type Object = v1::Service;
    type Model = ServiceObject;
    type Told = ();

    fn convert(object: &v1::Service) -> Converted<ServiceObject> {
        convert::service(object)
    }

    fn told(_model: &ServiceObject) -> Self::Told {}

    fn set(model: ServiceObject, _before: Option<()>, batch: &mut Batch) {
        batch.changes.push(Change::SetService(model.service));
    }

    fn remove(name: &ObjectName, (): (), batch: &mut Batch) {
        batch.changes.push(Change::RemoveService(name.clone()));
    }
}

/// Slices of Services that have an address, or of headless ones, by a watch of their own each.
pub(super) struct EndpointSlices<const HEADLESS: bool = false>;

impl<const HEADLESS: bool> Kind for EndpointSlices<HEADLESS> {
    const WATCHED: Watched =
        if HEADLESS { Watched::HeadlessSlices } else { Watched::EndpointSlices };
    type Object = discovery::EndpointSlice;
    type Model = EndpointSlice;
    /// The Service that it names.
    type Told = Arc<str>;

    fn convert(object: &discovery::EndpointSlice) -> Converted<EndpointSlice> {
        convert::endpoint_slice(object)
    }

    fn told(model: &EndpointSlice) -> Arc<str> {
        Arc::clone(&model.service)
    }

    fn set(model: EndpointSlice, before: Option<Arc<str>>, batch: &mut Batch) {
        if let Some(before) = before
            && before != model.service
        {
            Self::remove(&model.name, before, batch);
        }
        if servers::is_own(&model.name.namespace, &model.service) {
            batch.api_servers.push((Arc::clone(&model.name.name), addresses(&model)));
        }
        batch.changes.push(Change::SetSlice(model));
    }

    fn remove(name: &ObjectName, service: Arc<str>, batch: &mut Batch) {
        if servers::is_own(&name.namespace, &service) {
            batch.api_servers.push((Arc::clone(&name.name), Vec::new()));
        }
        let service = ObjectName { namespace: Arc::clone(&name.namespace), name: service };
        batch.changes.push(Change::RemoveSlice(service, Arc::clone(&name.name)));
    }

    fn triggered(object: &discovery::EndpointSlice) -> Option<Timestamp> {
        convert::triggered(object)
    }
}

/// Where the API servers of a slice listen.
fn addresses(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let tcp = || slice.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let Some(port) = tcp().find(|port| &*port.name == "https").or_else(|| tcp().next()) else {
        return Vec::new();
    };
    let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready);
    ready.map(|endpoint| SocketAddr::new(endpoint.address, port.port)).collect()
}

pub(super) struct Nodes;

impl Kind for Nodes {
    const WATCHED: Watched = Watched::Node;
    type Object = v1::Node;
    /// With its UID.
    type Model = (Node, String);
    type Told = ();

    fn convert(object: &v1::Node) -> Converted<Self::Model> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        convert::node(object).map(|node| (node, uid))
    }

    fn told(_model: &Self::Model) -> Self::Told {}

    fn set((node, uid): Self::Model, _before: Option<()>, batch: &mut Batch) {
        batch.node = Some(node);
        batch.node_uid = Some(uid);
    }

    fn remove(name: &ObjectName, (): (), batch: &mut Batch) {
        batch.node_uid = Some(String::new());
        let name = Arc::clone(&name.name);
        batch.node = Some(Node { name, ..Node::default() });
    }
}

pub(super) struct Pods;

impl Kind for Pods {
    const WATCHED: Watched = Watched::Pods;
    type Object = v1::Pod;
    type Model = Pod;
    /// All of it: a Pod's status changes often, and mostly in what is not needed here.
    type Told = Pod;

    fn convert(object: &v1::Pod) -> Converted<Pod> {
        convert::caller(object)
    }

    fn told(model: &Pod) -> Pod {
        model.clone()
    }

    fn set(model: Pod, before: Option<Pod>, batch: &mut Batch) {
        match before {
            Some(before) if before == model => return,
            Some(before) if before.uid != model.uid => {
                batch.pods.push(PodChange::Remove(before.name, before.uid));
            }
            _ => {}
        }
        batch.pods.push(PodChange::Set(model));
    }

    fn remove(_name: &ObjectName, told: Pod, batch: &mut Batch) {
        batch.pods.push(PodChange::Remove(told.name, told.uid));
    }
}
