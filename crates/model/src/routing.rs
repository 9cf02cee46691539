//! Which Services routes are about, and on which others these depend.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    object::{ObjectName, Timestamp},
    route::{DestinationRef, Route, RouteOwner},
};

/// One route: the object, and which of its routes.
pub(crate) type RouteId = (RouteOwner, usize);

/// All routes by object.
pub(crate) type Routes = BTreeMap<RouteOwner, std::sync::Arc<[Route]>>;

/// An index of routes, so that what a change costs follows the change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routing {
    targets: BTreeMap<ObjectName, BTreeSet<RouteId>>,
    /// By the Service whose endpoints they depend on: targets, and by how many mentions.
    dependents: BTreeMap<ObjectName, BTreeMap<ObjectName, usize>>,
    /// Routes that would close a circle of older ones.
    loops: BTreeSet<RouteId>,
}

impl Routing {
    /// The Services that routes are about.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &ObjectName> {
        self.targets.keys()
    }

    /// The routes of a Service, in no order that counts.
    pub(crate) fn of(&self, target: &ObjectName) -> impl Iterator<Item = &RouteId> {
        self.targets.get(target).into_iter().flatten()
    }

    /// The Services whose routes depend on the endpoints of this one.
    pub(crate) fn dependents(&self, service: &ObjectName) -> impl Iterator<Item = &ObjectName> {
        self.dependents.get(service).into_iter().flat_map(BTreeMap::keys)
    }

    /// The Services whose routes depend on the endpoints of some Service of a namespace.
    pub(crate) fn dependents_in<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a ObjectName> {
        let services = self.dependents.range(ObjectName::new(namespace, "")..);
        let services = services.take_while(|(service, _)| *service.namespace == *namespace);
        services.flat_map(|(_, targets)| targets.keys())
    }

    /// The Services of a namespace that routes are about.
    pub(crate) fn targets_in<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a ObjectName, &'a BTreeSet<RouteId>)> {
        let targets = self.targets.range(ObjectName::new(namespace, "")..);
        targets.take_while(|(target, _)| *target.namespace == *namespace)
    }

    /// Whether a route would close a circle of older ones.
    pub(crate) fn is_loop(&self, owner: &RouteOwner, index: usize) -> bool {
        !self.loops.is_empty() && self.loops.contains(&(owner.clone(), index))
    }

    /// Takes in the routes of an object, which `all` has already, in place of those before: the
    /// Services that this touches.
    pub(crate) fn replace(
        &mut self,
        owner: &RouteOwner,
        before: &[Route],
        all: &Routes,
    ) -> BTreeSet<ObjectName> {
        let after = all.get(owner).map(AsRef::as_ref).unwrap_or_default();
        for (index, route) in (0..).zip(before) {
            self.remove(&(owner.clone(), index), route);
        }
        for (index, route) in (0..).zip(after) {
            self.insert((owner.clone(), index), route);
        }
        let routes = before.iter().chain(after);
        let mut touched: BTreeSet<_> = routes.map(|route| route.target.clone()).collect();
        if self.may_turn(owner, before, after, all) {
            let loops = self.find_loops(all);
            let changed = loops.symmetric_difference(&self.loops);
            touched.extend(changed.filter_map(|id| Some(route(all, id)?.target.clone())));
            self.loops = loops;
        }
        touched
    }

    fn insert(&mut self, id: RouteId, route: &Route) {
        for service in depends_on(route) {
            let targets = self.dependents.entry(service.clone()).or_default();
            *targets.entry(route.target.clone()).or_default() += 1;
        }
        self.targets.entry(route.target.clone()).or_default().insert(id);
    }

    fn remove(&mut self, id: &RouteId, route: &Route) {
        for service in depends_on(route) {
            let Some(targets) = self.dependents.get_mut(service) else { continue };
            if let Some(mentions) = targets.get_mut(&route.target) {
                *mentions -= 1;
                if *mentions == 0 {
                    targets.remove(&route.target);
                }
            }
            if targets.is_empty() {
                self.dependents.remove(service);
            }
        }
        if let Some(routes) = self.targets.get_mut(&route.target) {
            routes.remove(id);
            if routes.is_empty() {
                self.targets.remove(&route.target);
            }
        }
    }

    /// Whether a change may open or close circles: not if routes lead from and to where they did, and
    /// where there is none before, only if one leads to where it comes from.
    fn may_turn(
        &self,
        owner: &RouteOwner,
        before: &[Route],
        after: &[Route],
        all: &Routes,
    ) -> bool {
        if owner.kind.is_gateway() {
            return false;
        }
        let edges = |routes: &[Route]| -> Vec<_> {
            let created = routes.iter().map(|route| route.created);
            let edges = routes.iter().map(|route| (route.target.clone(), leads_to(route)));
            created.zip(edges.map(|(from, to)| (from, to.cloned().collect::<Vec<_>>()))).collect()
        };
        if edges(before) == edges(after) {
            return false;
        }
        !self.loops.is_empty()
            || after.iter().any(|route| {
                reaches(leads_to(route).collect(), &route.target, |from| {
                    self.of(from).filter_map(|id| self::route(all, id)).collect()
                })
            })
    }

    /// The oldest routes first: whichever closes a circle of those before is left out.
    fn find_loops(&self, all: &Routes) -> BTreeSet<RouteId> {
        let ids = self.targets.values().flatten();
        let mut routes: Vec<_> = ids
            .filter(|(owner, _)| !owner.kind.is_gateway())
            .filter_map(|id| Some((age(route(all, id)?), id, route(all, id)?)))
            .collect();
        routes.sort_unstable_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)));
        let mut standing: BTreeMap<&ObjectName, Vec<&Route>> = BTreeMap::new();
        let mut loops = BTreeSet::new();
        for (_, id, route) in routes {
            let next = |from: &ObjectName| standing.get(from).cloned().unwrap_or_default();
            if reaches(leads_to(route).collect(), &route.target, next) {
                loops.insert(id.clone());
            } else {
                standing.entry(&route.target).or_default().push(route);
            }
        }
        loops
    }
}

/// A route by its id.
pub(crate) fn route<'a>(all: &'a Routes, (owner, index): &RouteId) -> Option<&'a Route> {
    all.get(owner)?.get(*index)
}

/// Without a time of creation a route counts as younger than any with one.
fn age(route: &Route) -> (bool, Timestamp) {
    (route.created.is_none(), route.created.unwrap_or_default())
}

/// The Services whose endpoints say what becomes of a route.
fn depends_on(route: &Route) -> impl Iterator<Item = &ObjectName> {
    let members_of = route.selectors().filter_map(|selector| selector.members_of.as_ref());
    let abandoned = match route.abandons.as_ref().map(|destination| &destination.to) {
        Some(DestinationRef::Service { name, .. }) => Some(name),
        _ => None,
    };
    route.destinations().chain(members_of).chain(abandoned)
}

/// Where a route leads that can close a circle: not to its own target, and a kind of the Gateway API
/// nowhere, since by its specification routes of destinations are not asked.
fn leads_to(route: &Route) -> impl Iterator<Item = &ObjectName> {
    let own = route.owner.kind.is_gateway();
    route.destinations().filter(move |name| !own && **name != route.target)
}

/// Whether one comes from these Services to another along routes.
fn reaches<'a>(
    mut ahead: Vec<&'a ObjectName>,
    to: &ObjectName,
    next: impl Fn(&ObjectName) -> Vec<&'a Route>,
) -> bool {
    let mut seen = BTreeSet::new();
    while let Some(service) = ahead.pop() {
        if service == to {
            return true;
        }
        if seen.insert(service) {
            ahead.extend(next(service).into_iter().flat_map(leads_to));
        }
    }
    false
}

/// Whether a route has a destination that is a subset of its target's Pods.
pub(crate) fn has_subsets(route: &Route) -> bool {
    let destinations = route.rules.iter().flat_map(|rule| rule.action.destinations());
    destinations
        .chain(&route.abandons)
        .any(|destination| matches!(destination.to, DestinationRef::Subset(_)))
}
