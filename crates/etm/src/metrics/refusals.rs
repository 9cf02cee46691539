//! Refused calls by their reasons, as the kernel counts them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use etm_abi::Counter;
use etm_dataplane::Counters;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tracing::error;

/// The kernel's counters, once there are any.
pub(super) type Kernel = Arc<OnceLock<Counters>>;

/// Reads them each time that somebody asks.
#[derive(Debug)]
pub(super) struct Refusals(Kernel);

impl Refusals {
    pub(super) fn new(kernel: Kernel) -> Self {
        Self(kernel)
    }
}

impl Collector for Refusals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(kernel) = self.0.get() else { return Ok(()) };
        let counters = match kernel.all() {
            Ok(counters) => counters,
            Err(error) => {
                error!("refusals are missing from the metrics: {error}");
                return Ok(());
            }
        };
        let mut family = encoder.encode_descriptor(
            "refusals",
            "Calls that were refused, by system call and reason",
            None,
            MetricType::Counter,
        )?;
        for (counter, calls) in counters {
            let Some((call, reason)) = refusal(counter) else { continue };
            let labels = [("call", call), ("reason", reason)];
            ConstCounter::new(calls).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// System call and reason of a counter of refusals.
const fn refusal(counter: Counter) -> Option<(&'static str, &'static str)> {
    match counter {
        Counter::ConnectNoEndpoints => Some(("connect", "no-endpoints")),
        Counter::ConnectAllEjected => Some(("connect", "all-ejected")),
        Counter::ConnectLocalPolicy => Some(("connect", "local-policy")),
        Counter::ConnectUnknownPort => Some(("connect", "unknown-port")),
        Counter::ConnectSource => Some(("connect", "source")),
        Counter::SendNoEndpoints => Some(("sendmsg", "no-endpoints")),
        Counter::SendAllEjected => Some(("sendmsg", "all-ejected")),
        Counter::SendLocalPolicy => Some(("sendmsg", "local-policy")),
        Counter::SendUnknownPort => Some(("sendmsg", "unknown-port")),
        Counter::SendSource => Some(("sendmsg", "source")),
        Counter::ConnectDenied => Some(("connect", "denied")),
        Counter::SendDenied => Some(("sendmsg", "denied")),
        Counter::ConnectForwarded
        | Counter::SendKept
        | Counter::SendForwarded
        | Counter::CallerUnknown
        | Counter::ReceiveTranslated
        | Counter::PeerTranslated
        | Counter::FlowMoved
        | Counter::FlowLost
        | Counter::EventLost => None,
    }
}
