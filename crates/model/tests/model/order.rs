//! The same Snapshot gives the same Plan, whatever the way to it.

use std::{collections::BTreeMap, sync::Arc};

use etm_model::{
    CALLER_NODE_NUMBER, Change, ObjectName, Options, PlannedRoute, Planner, RouteClass,
    UnknownPort, compile, route_conditions,
};
use proptest::{collection::vec, prelude::*};

use crate::cluster::{changes, snapshot};

fn options() -> impl Strategy<Value = Options> {
    any::<bool>().prop_map(|refuse| Options {
        unknown_port: if refuse { UnknownPort::Refuse } else { UnknownPort::Pass },
        ..Options::default()
    })
}

/// Whether two changes are of one object; a policy or a slice is one object whatever its Service.
fn same_object(one: &Change, other: &Change) -> bool {
    let key = |change: &Change| match change {
        Change::Node(_) => ("node", None),
        Change::SetService(service) => ("service", Some(service.name.clone())),
        Change::RemoveService(name) => ("service", Some(name.clone())),
        Change::SetSlice(slice) => ("slice", Some(slice.name.clone())),
        Change::RemoveSlice(service, name) => {
            ("slice", Some(ObjectName::new(Arc::clone(&service.namespace), Arc::clone(name))))
        }
        Change::SetPolicy(policy) => ("policy", Some(policy.name.clone())),
        Change::RemovePolicy(service, name) => {
            ("policy", Some(ObjectName::new(Arc::clone(&service.namespace), Arc::clone(name))))
        }
        Change::SetEjectedNodes(_) => ("nodes", None),
        Change::SetPodWeight(pod, _) => ("weight", Some(pod.clone())),
        Change::SetRoutes(owner, _) => (owner.kind.name(), Some(owner.name.clone())),
        Change::SetGrant(grant) => ("grant", Some(grant.name.clone())),
        Change::RemoveGrant(name) => ("grant", Some(name.clone())),
        Change::SetCaller(number, _) => ("caller", Some(ObjectName::new("", number.to_string()))),
        Change::SetNamespace(name, _) => ("namespace", Some(ObjectName::new("", &**name))),
        Change::SetPodLabels(pod, _) => ("labels", Some(pod.clone())),
    };
    key(one) == key(other)
}

proptest! {
    #[test]
    fn changes_lead_to_the_plan_of_the_last_snapshot(
        options in options(),
        batches in vec(changes(), 0..12),
    ) {
        let mut planner = Planner::new(options);
        let mut applied = planner.plan().clone();
        let mut past: Vec<Change> = Vec::new();
        for batch in batches {
            past.extend(batch.iter().cloned());
            let delta = planner.change(batch);
            prop_assert!(delta.set.keys().all(|key| !delta.remove.contains(key)));
            for (key, frontend) in &delta.set {
                prop_assert_ne!(applied.frontends.get(key), Some(frontend), "nothing new");
            }
            applied.apply(&delta);

            let compiled = compile(&snapshot(&past), &options);
            prop_assert_eq!(planner.plan(), &compiled);
            prop_assert_eq!(planner.problems(), &compiled.problems);
            prop_assert_eq!(
                route_conditions(planner.snapshot()),
                route_conditions(&snapshot(&past))
            );
            prop_assert_eq!(&applied.frontends, &compiled.frontends);
            prop_assert_eq!(&applied.held, &compiled.held);
        }
    }

    #[test]
    fn what_was_planned_before_does_not_matter(
        options in options(),
        before in changes(),
        after in changes(),
    ) {
        let mut planner = Planner::new(options);
        planner.replace(snapshot(&before));
        let plan = planner.replace(snapshot(&after)).clone();
        prop_assert_eq!(plan, compile(&snapshot(&after), &options));
    }

    #[test]
    fn what_stands_after_changes_in_any_order_is_the_same(
        objects in changes(),
        order in any::<prop::sample::Index>(),
    ) {
        // One change an object: of two, the later one would count.
        let mut one_each: Vec<Change> = Vec::new();
        for change in objects {
            if !one_each.iter().any(|other| same_object(other, &change)) {
                one_each.push(change);
            }
        }
        let mut turned = one_each.clone();
        turned.rotate_left(order.index(one_each.len()));
        turned.reverse();
        let plan = |changes: Vec<Change>| {
            let mut planner = Planner::new(Options::default());
            for change in changes {
                planner.change([change]);
            }
            planner.plan().clone()
        };
        prop_assert_eq!(plan(one_each), plan(turned));
    }

    #[test]
    fn frontends_of_a_port_share_what_they_choose_by(past in vec(changes(), 1..6)) {
        let plan = compile(&snapshot(past.iter().flatten()), &Options::default());
        let mut shared = BTreeMap::new();
        for frontend in plan.frontends.values() {
            let Some(balancing) = &frontend.balancing else {
                let weights = frontend.pool.iter().map(|member| member.weight);
                prop_assert!(weights.clone().max() == weights.min());
                continue;
            };
            let first = shared.entry(Arc::as_ptr(&frontend.service)).or_insert(balancing);
            prop_assert!(Arc::ptr_eq(first, balancing));
        }
    }

    #[test]
    fn routes_are_of_classes_that_differ(past in vec(changes(), 1..6)) {
        let plan = compile(&snapshot(past.iter().flatten()), &Options::default());
        for route in plan.frontends.values().filter_map(|frontend| frontend.route.as_ref()) {
            let classes = &route.classes;
            prop_assert!((1..=PlannedRoute::CLASSES).contains(&classes.len()));
            prop_assert!((1..classes.len()).all(|at| !classes[..at].contains(&classes[at])));
            for (number, class) in &route.callers {
                prop_assert!(*number >= CALLER_NODE_NUMBER);
                prop_assert!((1..classes.len()).contains(&usize::from(*class)));
            }
            for class in classes {
                let RouteClass::Forward(parts) = class else { continue };
                prop_assert!(parts.len() <= PlannedRoute::PARTS);
                prop_assert!(parts.iter().all(|part| part.weight > 0));
                let pools = parts.iter().map(|part| &part.pool);
                for members in pools {
                    prop_assert!(members.is_sorted_by(|a, b| a.backend < b.backend));
                }
            }
        }
    }

    #[test]
    fn pools_are_ordered_and_name_each_backend_once(past in vec(changes(), 1..6)) {
        let plan = compile(&snapshot(past.iter().flatten()), &Options::default());
        for frontend in plan.frontends.values() {
            let backends = frontend.pool.iter().map(|member| member.backend);
            prop_assert!(backends.is_sorted_by(|a, b| a < b));
        }
    }
}
