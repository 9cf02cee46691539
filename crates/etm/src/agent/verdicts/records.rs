//! What the kernel is told: policies, budgets, and the state of each backend.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use etm_abi::{
    self as abi, BACKEND_AVAILABLE, BACKEND_EJECTED, BACKEND_OUT, HEALTH_POLICIES, PROTOCOL_UDP,
};
use etm_dataplane::Dataplane;
use etm_health::Record;
use etm_model::{BackendKey, HealthPolicy, ServicePortName};
use tracing::warn;

use crate::agent::stale::Moved;

/// What was told so far.
#[derive(Default)]
pub(super) struct Records {
    /// Index into `HEALTH` of each policy in use.
    policies: HashMap<[u32; 6], u16>,
    /// A Service port's index into `BUDGETS`, and what it was last told to be.
    budgets: BTreeMap<Arc<ServicePortName>, (u32, i64)>,
}

impl Records {
    /// Says by which policy a backend is judged, and out of whose share it is taken.
    pub(super) fn judge(
        &mut self,
        id: u32,
        policy: Option<&HealthPolicy>,
        service: u32,
        dataplane: &mut Dataplane,
    ) {
        let index = self.index(policy, dataplane);
        dataplane.set_judged_by(id, index, service);
        let passive = policy.and_then(|policy| policy.passive.as_ref());
        let timeout = passive.and_then(|passive| passive.reply_timeout);
        let is_udp = dataplane.backend(id).is_some_and(|record| record.protocol == PROTOCOL_UDP);
        dataplane.set_reply_timeout(id, timeout.filter(|_| is_udp).map_or(0, milliseconds));
    }

    /// The place of a policy, which is written where it is not there yet.
    fn index(&mut self, policy: Option<&HealthPolicy>, dataplane: &mut Dataplane) -> u16 {
        let Some(written) = policy.and_then(to_abi) else { return abi::HEALTH_POLICY_NONE };
        let key = [
            written.failures,
            written.ejection,
            written.max_ejection,
            written.probation,
            u32::from(written.successes),
            u32::from(written.syn_retransmits),
        ];
        if let Some(index) = self.policies.get(&key) {
            return *index;
        }
        let next = self.policies.len() + 1;
        let Some(index) =
            u16::try_from(next).ok().filter(|next| u32::from(*next) < HEALTH_POLICIES)
        else {
            warn!("more than {HEALTH_POLICIES} different health policies: one counts for nothing");
            return abi::HEALTH_POLICY_NONE;
        };
        dataplane.set_health_policy(index, written);
        self.policies.insert(key, index);
        index
    }

    /// Says how many members of a Service port the kernel may eject by itself.
    pub(super) fn set_budget(
        &mut self,
        name: &Arc<ServicePortName>,
        service: u32,
        left: u32,
        dataplane: &mut Dataplane,
    ) {
        let told = match self.budgets.get(name) {
            Some((known, told)) if *known == service => *told,
            _ => dataplane.budget(service),
        };
        let left = i64::from(left);
        dataplane.add_to_budget(service, left - told);
        self.budgets.insert(Arc::clone(name), (service, left));
    }

    /// The kernel itself has taken one out of a share, or given one back.
    pub(super) fn count(&mut self, service: u32, difference: i64) {
        let mut budgets = self.budgets.values_mut();
        if let Some((_, told)) = budgets.find(|(known, _)| *known == service) {
            *told += difference;
        }
    }

    /// A Service port is gone.
    pub(super) fn forget(&mut self, name: &ServicePortName) {
        self.budgets.remove(name);
    }

    /// Brings the record of a backend to what it is to be, and says where that changes whether it is
    /// in service.
    pub(super) fn write(
        id: u32,
        key: BackendKey,
        record: Record,
        dataplane: &mut Dataplane,
    ) -> Option<Moved> {
        let seen = dataplane.backend(id)?;
        let (state, until, times) = match record {
            Record::Available { times } => (BACKEND_AVAILABLE, Duration::ZERO, Some(times)),
            Record::Ejected { until, times } => (BACKEND_EJECTED, until, Some(times)),
            Record::Out => (BACKEND_OUT, Duration::ZERO, None),
        };
        if let Some(times) = times {
            dataplane.set_times(id, u16::try_from(times).unwrap_or(abi::MAX_TIMES));
        }
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        if seen.state == state || !dataplane.set_state(id, &seen, state, until) {
            return None;
        }
        match (seen.state, state) {
            (BACKEND_AVAILABLE, _) => Some(Moved::Out(key)),
            (_, BACKEND_AVAILABLE) => Some(Moved::Back(key)),
            _ => None,
        }
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A policy as the kernel has it; none where it ejects nothing.
fn to_abi(policy: &HealthPolicy) -> Option<abi::HealthPolicy> {
    let passive = policy.passive.as_ref()?;
    Some(abi::HealthPolicy {
        failures: u32::from(passive.consecutive_failures),
        ejection: milliseconds(policy.ejection_time),
        max_ejection: milliseconds(policy.max_ejection_time),
        probation: milliseconds(policy.probation.interval),
        successes: u16::from(policy.probation.successes),
        syn_retransmits: u16::from(passive.syn_retransmits),
        pad: 0,
    })
}
