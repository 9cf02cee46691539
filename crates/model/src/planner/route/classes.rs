//! From rules and callers to the classes of a frontend.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    callers::{Matcher, Subject},
    destinations::Backends,
    names::{named, own_outcome},
    order,
    parts::{Given, Parts, TooMany},
    verdict,
};
use crate::{
    object::{Family, Service, ServicePort, TrafficPolicy},
    outcome::{Outcome, Outcomes},
    plan::{BackendKey, Balancing, PlannedRoute, Pool, RouteClass, RoutePart, is_member},
    planner::options::Options,
    policy::Policy,
    problem::Problem,
    route::{CALLER_NODE_NUMBER, CallerNumber, Route, Rule},
    snapshot::Snapshot,
};

/// The routes of one port, and which callers each rule is for.
pub(in crate::planner) struct Routed<'a> {
    rules: Vec<(&'a Route, &'a Rule)>,
    /// Callers by the rules that are for them, in order.
    callers: BTreeMap<Vec<usize>, Vec<CallerNumber>>,
    /// The rules that are for anyone.
    unknown: Vec<usize>,
    parts: Parts<'a>,
}

/// What the frontends of one family have in place of pools; none where they have none.
#[derive(Default)]
pub(in crate::planner) struct Routes {
    pub(in crate::planner) cluster: Option<Arc<PlannedRoute>>,
    pub(in crate::planner) local: Option<Arc<PlannedRoute>>,
    /// Backends that routes have left, in order.
    pub(in crate::planner) abandoned: Vec<BackendKey>,
}

impl Routes {
    pub(in crate::planner) const fn of(&self, policy: TrafficPolicy) -> Option<&Arc<PlannedRoute>> {
        match policy {
            TrafficPolicy::Cluster => self.cluster.as_ref(),
            TrafficPolicy::Local => self.local.as_ref(),
        }
    }

    pub(in crate::planner) const fn at(
        &mut self,
        policy: TrafficPolicy,
    ) -> &mut Option<Arc<PlannedRoute>> {
        match policy {
            TrafficPolicy::Cluster => &mut self.cluster,
            TrafficPolicy::Local => &mut self.local,
        }
    }

    /// Those that routes have left and that frontends of a traffic policy lead nobody to.
    pub(in crate::planner) fn abandoned(
        &self,
        policy: TrafficPolicy,
        own: &Pool,
    ) -> Option<Arc<[BackendKey]>> {
        let led_to = |backend: &BackendKey| match self.of(policy) {
            None => is_member(own, backend),
            Some(route) => route.leads_to(backend),
        };
        let left = self.abandoned.iter().filter(|backend| !led_to(backend)).copied();
        Some(left.collect::<Arc<[_]>>()).filter(|left| !left.is_empty())
    }
}

impl<'a> Routed<'a> {
    /// The routes of a port; none where it has none that counts.
    pub(in crate::planner) fn new(
        (snapshot, options): (&'a Snapshot, &'a Options),
        target: &'a Service,
        port: &'a ServicePort,
        policy: Option<&'a Policy>,
        balancing: Option<Arc<Balancing>>,
    ) -> Option<Self> {
        let routes = order::of_port(snapshot, target, port);
        let rules: Vec<_> = routes
            .into_iter()
            .flat_map(|(_, route)| route.rules.iter().map(move |rule| (route, rule)))
            .collect();
        if rules.is_empty() {
            return None;
        }
        let matcher = Matcher::new(snapshot);
        let rules_for = |who: Subject<'_>| -> Vec<usize> {
            let rules = rules.iter().enumerate();
            let found = rules.filter(|(_, (route, rule))| matcher.is_for(route, rule, who));
            found.map(|(index, _)| index).collect()
        };
        let mut callers: BTreeMap<Vec<usize>, Vec<CallerNumber>> = BTreeMap::new();
        callers.entry(rules_for(Subject::Node)).or_default().push(CALLER_NODE_NUMBER);
        let pods = snapshot.callers.iter().filter(|(number, _)| **number > CALLER_NODE_NUMBER);
        for (number, pod) in pods {
            callers.entry(rules_for(Subject::of(Some(pod)))).or_default().push(*number);
        }
        let unknown = rules_for(Subject::Unknown);
        let pools = BTreeSet::new();
        let parts = Parts { snapshot, options, target, port, policy, balancing, pools };
        Some(Self { rules, callers, unknown, parts })
    }

    /// What callers get at places of a family and a traffic policy instead of `own`; none where that
    /// is what all get. What is told says which routes had to be left out.
    pub(in crate::planner) fn plan(
        &mut self,
        own: RoutePart,
        at: (Family, TrafficPolicy),
        told: &mut Vec<Problem>,
    ) -> Result<Option<Arc<PlannedRoute>>, TooMany> {
        let own = RouteClass::Forward(vec![own]);
        let (planned, _) = self.settle(&own, at, told)?;
        let alike = planned.callers.is_empty() && planned.classes == [own];
        Ok((!alike).then(|| Arc::new(planned)))
    }

    /// The backends of a family that routes have left, in order.
    pub(in crate::planner) fn abandoned(&self, family: Family) -> Vec<BackendKey> {
        let Parts { snapshot, target, port, .. } = &self.parts;
        let mut routes: Vec<_> = self.rules.iter().map(|(route, _)| *route).collect();
        routes.dedup_by(|one, other| std::ptr::eq(*one, *other));
        let left = routes.into_iter().filter_map(|route| {
            let backends = Backends::of(snapshot, target, port, route, route.abandons.as_ref()?);
            Some(backends.ok()?.all(family).collect::<Vec<_>>())
        });
        let mut left: Vec<_> = left.flatten().collect();
        left.sort_unstable();
        left.dedup();
        left
    }

    /// The same by names.
    pub(in crate::planner) fn outcomes(
        &mut self,
        own: RoutePart,
        at: (Family, TrafficPolicy),
    ) -> Result<Outcomes, TooMany> {
        let target = &self.parts.target.name;
        let else_own = own_outcome(target, &own);
        let (_, given) = self.settle(&RouteClass::Forward(vec![own]), at, &mut Vec::new())?;
        let outcome = |rules: &[usize]| -> Outcome {
            let mut found = rules.iter().filter_map(|rule| {
                let given = given.get(*rule)?.as_ref()?;
                self.rules.get(*rule).map(|(route, rule)| named(target, route, rule, given))
            });
            found.next().unwrap_or_else(|| else_own.clone())
        };
        let callers = self.callers.iter().flat_map(|(rules, numbers)| {
            let outcome = outcome(rules);
            numbers.iter().map(move |number| (*number, outcome.clone()))
        });
        Ok(Outcomes { unknown: outcome(&self.unknown), callers: callers.collect() })
    }

    /// What each rule gives, with none where it is passed over, and who gets what by that.
    fn settle(
        &mut self,
        own: &RouteClass,
        at: (Family, TrafficPolicy),
        told: &mut Vec<Problem>,
    ) -> Result<(PlannedRoute, Vec<Option<Given<'a>>>), TooMany> {
        if let RouteClass::Forward(parts) = own {
            self.parts.pools.extend(parts.iter().map(|part| Pool::clone(&part.pool)));
        }
        let mut given = Vec::new();
        for rule in &self.rules {
            given.push(self.parts.of_rule(*rule, at)?);
        }
        let mut classes: Vec<_> =
            given.iter().map(|given| given.as_ref().map(Given::class)).collect();
        loop {
            if let Some(planned) = self.divide(own, &classes) {
                return Ok((planned, given));
            }
            let last = classes.iter().rposition(Option::is_some);
            let Some((left_out, _)) = last.and_then(|last| self.rules.get(last)).copied() else {
                let planned = PlannedRoute { classes: vec![own.clone()], callers: BTreeMap::new() };
                return Ok((planned, given));
            };
            told.push(verdict::too_many_classes(left_out));
            for (((route, _), class), given) in self.rules.iter().zip(&mut classes).zip(&mut given)
            {
                if std::ptr::eq(*route, left_out) {
                    (*class, *given) = (None, None);
                }
            }
        }
    }

    /// Which callers get what, with none where a rule is passed over; nothing where there are more
    /// classes than a frontend may have.
    fn divide(&self, own: &RouteClass, outcomes: &[Option<RouteClass>]) -> Option<PlannedRoute> {
        let first = |rules: &[usize]| -> RouteClass {
            let mut found = rules.iter().filter_map(|rule| outcomes.get(*rule)?.as_ref());
            found.next().unwrap_or(own).clone()
        };
        let mut classes = vec![first(&self.unknown)];
        let mut callers = BTreeMap::new();
        for (rules, numbers) in &self.callers {
            let class = first(rules);
            let index = classes.iter().position(|other| *other == class).unwrap_or_else(|| {
                classes.push(class);
                classes.len() - 1
            });
            let index = u8::try_from(index).ok()?;
            if index > 0 {
                callers.extend(numbers.iter().map(|number| (*number, index)));
            }
        }
        Some(PlannedRoute { classes, callers })
    }
}
