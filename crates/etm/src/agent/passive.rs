//! By what the kernel judges each backend, and how many of a Service it may eject by itself.

use std::collections::HashMap;

use etm_abi::{Frontend, HealthPolicy};
use etm_dataplane::Dataplane;
use etm_model::{Ledger, Plan, Step};

/// Entry of `HEALTH` with what counts where no policy says otherwise.
const DEFAULT: u16 = 1;

/// Envoy's and Linkerd's: `outlier_detection.proto`, `circuit-breaking.md`.
const DEFAULT_POLICY: HealthPolicy = HealthPolicy {
    failures: 5,
    ejection: 30_000,
    max_ejection: 300_000,
    probation: 1_000,
    successes: 3,
    syn_retransmits: 1,
    pad: 0,
};

/// What the kernel was told.
#[derive(Default)]
pub(super) struct Passive {
    /// How many of a Service port's members may be out, by its id.
    allowed: HashMap<u32, u32>,
}

impl Passive {
    pub(super) fn new(dataplane: &mut Dataplane) -> Self {
        dataplane.set_health_policy(DEFAULT, DEFAULT_POLICY);
        Self::default()
    }

    /// Follows what was just written.
    pub(super) fn follow(
        &mut self,
        steps: &[Step],
        plan: &Plan,
        ledger: &Ledger,
        dataplane: &mut Dataplane,
    ) {
        for step in steps {
            let Step::SetFrontend { key, frontend: Frontend { service, members, .. } } = step
            else {
                continue;
            };
            let Some(planned) = plan.frontends.get(key) else { continue };
            for id in planned.pool.iter().filter_map(|member| ledger.backend(&member.backend)) {
                dataplane.set_judged_by(id, DEFAULT, *service);
            }
            let allowed = members / 2;
            let before = self.allowed.insert(*service, allowed).unwrap_or(0);
            dataplane.add_to_budget(*service, i64::from(allowed) - i64::from(before));
        }
    }
}
