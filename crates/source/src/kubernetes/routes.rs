//! The kinds that say who calls what.

use std::{marker::PhantomData, sync::Arc};

use etm_api::UncheckedTrafficRoute;
use etm_model::{
    Change, Labels, ObjectName, Problem, ReferenceGrant, Route, RouteKind, RouteOwner,
};
use k8s_openapi::api::core::v1;
use kube::{
    Resource as _,
    api::DynamicObject,
    core::{ObjectMeta, PartialObjectMeta},
};
use serde_json::Value;

use super::{
    kind::{Batch, Kind},
    statistics::Watched,
};
use crate::{
    asks::Asks,
    convert::{self, Converted, GatewayRoute},
};

/// An object with routes as the API server has it, for whoever writes its status.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedRoute {
    /// Which one.
    pub owner: RouteOwner,
    /// `apiVersion` by which it is known.
    pub api_version: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`: which spec it is.
    pub generation: Option<i64>,
    /// `status`; null where there is none.
    pub status: Value,
    /// What its spec says.
    pub said: Said,
}

/// What the spec of an object with routes says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Of one of etm's own kinds: its routes, or all that is wrong with them.
    Own(Result<Vec<Route>, Vec<Problem>>),
    /// Of one of the Gateway API's.
    Gateway(GatewayRoute),
}

impl ObservedRoute {
    fn new(kind: RouteKind, metadata: &ObjectMeta, status: Value, said: Said) -> Self {
        let name = ObjectName::new(
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        Self {
            owner: RouteOwner { kind, name },
            api_version: format!("{}/v1alpha1", etm_api::GROUP),
            version: metadata.resource_version.clone().unwrap_or_default(),
            generation: metadata.generation,
            status,
            said,
        }
    }
}

/// Tells that an object has other routes than before.
pub(super) fn turn(owner: &RouteOwner, before: &[Route], now: Vec<Route>, batch: &mut Batch) {
    if *before == *now {
        return;
    }
    let asks = (!now.is_empty()).then(|| Asks::of(&now));
    batch.asking_routes.push((owner.clone(), asks));
    batch.changes.push(Change::SetRoutes(owner.clone(), now));
}

pub(super) struct TrafficRoutes;

impl Kind for TrafficRoutes {
    const WATCHED: Watched = Watched::TrafficRoutes;
    const MAY_LACK: bool = true;
    type Object = UncheckedTrafficRoute;
    type Model = Route;
    /// All of it: whoever writes a route's status changes nothing that is needed here.
    type Told = Route;

    fn convert(object: &UncheckedTrafficRoute) -> Converted<Route> {
        convert::traffic_route(object)
    }

    fn told(model: &Route) -> Route {
        model.clone()
    }

    fn set(model: Route, before: Option<Route>, batch: &mut Batch) {
        let owner = model.owner.clone();
        turn(&owner, before.as_slice(), vec![model], batch);
    }

    fn remove(_name: &ObjectName, told: Route, batch: &mut Batch) {
        let owner = told.owner.clone();
        turn(&owner, &[told], Vec::new(), batch);
    }
}

/// Routes with their status, those that cannot be honoured as well.
pub(super) struct ObservedTrafficRoutes;

impl Kind for ObservedTrafficRoutes {
    const WATCHED: Watched = Watched::TrafficRoutes;
    const MAY_LACK: bool = true;
    type Object = UncheckedTrafficRoute;
    type Model = ObservedRoute;
    /// What its spec said, where that could be read.
    type Told = Vec<Route>;

    fn convert(object: &UncheckedTrafficRoute) -> Converted<ObservedRoute> {
        let Converted { object: route, created, proxy, problems, stays: _ } =
            convert::traffic_route(object);
        let said = Said::Own(route.map(|route| vec![route]).ok_or(problems));
        let status = object.status.clone();
        let observed = ObservedRoute::new(RouteKind::TrafficRoute, &object.metadata, status, said);
        // The problems are in the object: to write them down is what it is for.
        Converted { object: Some(observed), created, proxy, problems: Vec::new(), stays: None }
    }

    fn told(model: &ObservedRoute) -> Vec<Route> {
        match &model.said {
            Said::Own(routes) => routes.clone().unwrap_or_default(),
            Said::Gateway(route) => route.routes.clone(),
        }
    }

    fn set(model: ObservedRoute, before: Option<Vec<Route>>, batch: &mut Batch) {
        turn(&model.owner, &before.unwrap_or_default(), Self::told(&model), batch);
        batch.observed_routes.push((model.owner.clone(), Some(model)));
    }

    fn remove(name: &ObjectName, told: Vec<Route>, batch: &mut Batch) {
        let owner = RouteOwner { kind: RouteKind::TrafficRoute, name: name.clone() };
        turn(&owner, &told, Vec::new(), batch);
        batch.observed_routes.push((owner, None));
    }
}

/// Which of the Gateway API's kinds.
pub(super) trait GatewayKind: 'static {
    const KIND: RouteKind;
    const WATCHED: Watched;
}

macro_rules! gateway_kinds {
    ($($name:ident: $watched:ident),*) => {$(
        pub(super) struct $name;

        impl GatewayKind for $name {
            const KIND: RouteKind = RouteKind::$name;
            const WATCHED: Watched = Watched::$watched;
        }
    )*};
}

gateway_kinds!(TcpRoute: TcpRoutes, UdpRoute: UdpRoutes, GrpcRoute: GrpcRoutes, HttpRoute: HttpRoutes);

/// Routes of the Gateway API with their status, by which everything that is wrong with them is told.
pub(super) struct GatewayRoutes<G>(PhantomData<G>);

impl<G: GatewayKind> Kind for GatewayRoutes<G> {
    const WATCHED: Watched = G::WATCHED;
    const MAY_LACK: bool = true;
    const NEEDED: bool = false;
    type Object = DynamicObject;
    type Model = ObservedRoute;
    type Told = Vec<Route>;

    fn convert(object: &DynamicObject) -> Converted<ObservedRoute> {
        let converted = convert::gateway_route(G::KIND, object);
        let problems = match &converted.object {
            // Its status says it, once for the cluster and not once for each node.
            Some(_) => Vec::new(),
            None => converted.problems.clone(),
        };
        let observed = converted.map(|route| {
            let status = object.data.get("status").cloned().unwrap_or_default();
            ObservedRoute::new(G::KIND, &object.metadata, status, Said::Gateway(route))
        });
        Converted { problems, ..observed }
    }

    fn told(model: &ObservedRoute) -> Vec<Route> {
        ObservedTrafficRoutes::told(model)
    }

    fn set(model: ObservedRoute, before: Option<Vec<Route>>, batch: &mut Batch) {
        ObservedTrafficRoutes::set(model, before, batch);
    }

    fn remove(name: &ObjectName, told: Vec<Route>, batch: &mut Batch) {
        let owner = RouteOwner { kind: G::KIND, name: name.clone() };
        turn(&owner, &told, Vec::new(), batch);
        batch.observed_routes.push((owner, None));
    }
}

pub(super) struct ReferenceGrants;

impl Kind for ReferenceGrants {
    const WATCHED: Watched = Watched::ReferenceGrants;
    const MAY_LACK: bool = true;
    const NEEDED: bool = false;
    type Object = DynamicObject;
    type Model = ReferenceGrant;
    type Told = ReferenceGrant;

    fn convert(object: &DynamicObject) -> Converted<ReferenceGrant> {
        convert::reference_grant(object)
    }

    fn told(model: &ReferenceGrant) -> ReferenceGrant {
        model.clone()
    }

    fn set(model: ReferenceGrant, before: Option<ReferenceGrant>, batch: &mut Batch) {
        if before.as_ref() != Some(&model) {
            batch.changes.push(Change::SetGrant(model));
        }
    }

    fn remove(name: &ObjectName, _told: ReferenceGrant, batch: &mut Batch) {
        batch.changes.push(Change::RemoveGrant(name.clone()));
    }
}

/// Namespaces by their labels.
pub(super) struct Namespaces;

impl Kind for Namespaces {
    const WATCHED: Watched = Watched::Namespaces;
    type Object = PartialObjectMeta<v1::Namespace>;
    type Model = (Arc<str>, Labels);
    type Told = Labels;

    fn convert(object: &PartialObjectMeta<v1::Namespace>) -> Converted<(Arc<str>, Labels)> {
        convert::namespace(object.meta())
    }

    fn told((_, labels): &(Arc<str>, Labels)) -> Labels {
        labels.clone()
    }

    fn set((name, labels): (Arc<str>, Labels), before: Option<Labels>, batch: &mut Batch) {
        if before.as_ref() != Some(&labels) {
            batch.changes.push(Change::SetNamespace(name, Some(labels)));
        }
    }

    fn remove(name: &ObjectName, _told: Labels, batch: &mut Batch) {
        batch.changes.push(Change::SetNamespace(Arc::clone(&name.name), None));
    }
}
