//! A Pod's readiness by kubelet's defaults (`readinessProbe`: `periodSeconds: 10`,
//! `failureThreshold: 3`, `successThreshold: 1`, `timeoutSeconds: 1`).

use std::{
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::Duration,
};

use etm_dataplane::monotonic;
use etm_testkit::Node;

/// Between two probes.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);
const THRESHOLD: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Probes a Pod from the node from a moment on, every [`PERIOD`], until it has the wanted
/// readiness: by that many failures in a row, or by one success. The moment of the next probe.
pub(crate) fn until(node: &Node, pod: SocketAddr, first: Duration, ready: bool) -> Duration {
    let (mut next, mut failures) = (first, 0);
    loop {
        sleep(next.saturating_sub(monotonic()));
        next += PERIOD;
        let connect = || TcpStream::connect_timeout(&pod, TIMEOUT);
        let answered = node.place().in_network(connect).is_ok();
        failures = if answered { 0 } else { failures + 1 };
        if (ready && answered) || (!ready && failures == THRESHOLD) {
            return next;
        }
    }
}
