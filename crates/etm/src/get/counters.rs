use etm_abi::Counter;
use serde::Serialize;

use crate::get::Row;

/// One way out of the programs.
#[derive(Debug, Serialize)]
pub(super) struct CounterRow {
    counter: &'static str,
    calls: u64,
    meaning: &'static str,
}

impl Row for CounterRow {
    const HEADER: &'static [&'static str] = &["COUNTER", "CALLS", "MEANING"];

    fn cells(&self) -> Vec<String> {
        vec![self.counter.to_owned(), self.calls.to_string(), self.meaning.to_owned()]
    }
}

/// Every counter whose name begins with the filter.
pub(super) fn rows(counters: &[(Counter, u64)], filter: &str) -> Vec<CounterRow> {
    counters
        .iter()
        .map(|(counter, calls)| {
            let (counter, meaning) = describe(*counter);
            CounterRow { counter, calls: *calls, meaning }
        })
        .filter(|row| row.counter.starts_with(filter))
        .collect()
}

/// Name and meaning of a counter.
pub(crate) const fn describe(counter: Counter) -> (&'static str, &'static str) {
    match counter {
        Counter::ConnectForwarded => ("connect-forwarded", "connect() sent to a Pod"),
        Counter::ConnectNoEndpoints => {
            ("connect-no-endpoints", "connect() refused, the Service has no ready endpoint")
        }
        Counter::ConnectAllEjected => {
            ("connect-all-ejected", "connect() refused, every endpoint is ejected")
        }
        Counter::ConnectLocalPolicy => (
            "connect-local-policy",
            "connect() refused, the traffic policy is Local and all endpoints are elsewhere",
        ),
        Counter::ConnectUnknownPort => {
            ("connect-unknown-port", "connect() refused, the Service has no such port")
        }
        Counter::ConnectSource => {
            ("connect-source", "connect() refused, the caller is not in the load balancer's ranges")
        }
        Counter::SendKept => ("send-kept", "datagram sent to the Pod that its socket keeps"),
        Counter::SendForwarded => ("send-forwarded", "datagram sent to a newly chosen Pod"),
        Counter::SendNoEndpoints => {
            ("send-no-endpoints", "datagram refused, the Service has no ready endpoint")
        }
        Counter::SendAllEjected => {
            ("send-all-ejected", "datagram refused, every endpoint is ejected")
        }
        Counter::SendLocalPolicy => (
            "send-local-policy",
            "datagram refused, the traffic policy is Local and all endpoints are elsewhere",
        ),
        Counter::SendUnknownPort => {
            ("send-unknown-port", "datagram refused, the Service has no such port")
        }
        Counter::SendSource => {
            ("send-source", "datagram refused, the caller is not in the load balancer's ranges")
        }
        Counter::CallerUnknown => {
            ("caller-unknown", "call that depends on who calls, from no Pod that is known")
        }
        Counter::ReceiveTranslated => {
            ("receive-translated", "received datagram shown as coming from the Service")
        }
        Counter::PeerTranslated => ("peer-translated", "getpeername() answered with the Service"),
        Counter::FlowMoved => ("flow-moved", "record of a living socket moved to the second map"),
        Counter::FlowLost => ("flow-lost", "socket without a record, shows the Pod as its peer"),
        Counter::ConnectDenied => {
            ("connect-denied", "connect() refused, a route denies the caller")
        }
        Counter::SendDenied => ("send-denied", "datagram refused, a route denies the caller"),
        Counter::EventLost => ("event-lost", "event dropped, the ring buffer was full"),
    }
}
