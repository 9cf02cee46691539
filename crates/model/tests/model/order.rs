//! The same Snapshot gives the same Plan, whatever the way to it.

use etm_model::{Change, Options, Planner, UnknownPort, compile};
use proptest::{collection::vec, prelude::*};

use crate::cluster::{changes, snapshot};

fn options() -> impl Strategy<Value = Options> {
    any::<bool>().prop_map(|refuse| Options {
        unknown_port: if refuse { UnknownPort::Refuse } else { UnknownPort::Pass },
        ..Options::default()
    })
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
    fn pools_are_ordered_and_name_each_backend_once(past in vec(changes(), 1..6)) {
        let plan = compile(&snapshot(past.iter().flatten()), &Options::default());
        for frontend in plan.frontends.values() {
            let backends = frontend.pool.iter().map(|member| member.backend);
            prop_assert!(backends.is_sorted_by(|a, b| a < b));
        }
    }
}
