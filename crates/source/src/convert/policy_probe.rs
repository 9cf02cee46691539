//! `TrafficPolicy.spec.health.probe`.

use etm_api as api;
use etm_model::{HealthPolicy, Probe, ProbeKind, ProbePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    policy_health::{SHORTEST, checked, number},
    report::Report,
    traffic_policy::hint,
};

const FIELD: &str = "spec.health.probe";
/// Longest path of a GET, longest name of a host or of a gRPC service, longest name of a port.
const PATH: usize = 1024;
const NAME: usize = 253;
const PORT: usize = 63;

/// What is asked of each Pod; none where it is not said what.
pub(super) fn probe(given: &api::Probe, report: &mut Report) -> Option<Probe> {
    let kinds = [given.tcp.is_some(), given.http.is_some(), given.grpc.is_some()];
    if kinds.into_iter().filter(|named| *named).count() != 1 {
        let reason = "needs exactly one of tcp, http and grpc";
        report.add(FIELD, reason, hint("keep one, or take probe away"));
        return None;
    }
    let (kind, own) = kind(given, report)?;
    let interval = checked(
        given.interval.get(),
        Probe::MIN_INTERVAL..=HealthPolicy::MAX_TIME,
        (&at("interval"), ""),
        report,
    );
    let timeout = checked(
        given.timeout.get(),
        SHORTEST..=HealthPolicy::MAX_TIME,
        (&at("timeout"), ""),
        report,
    );
    if given.timeout.get() > given.interval.get() {
        let reason = format!("{:?} is longer than interval", given.timeout.get());
        report.add(at("timeout"), reason, hint("lower it, or raise interval"));
    }
    let threshold = |given, field, report: &mut Report| {
        number(given, Probe::THRESHOLD, (&at(field), ""), report)
    };
    Some(Probe {
        kind,
        port: own,
        interval,
        timeout,
        unhealthy_threshold: threshold(given.unhealthy_threshold, "unhealthyThreshold", report),
        healthy_threshold: threshold(given.healthy_threshold, "healthyThreshold", report),
    })
}

/// What is asked, and on which port.
fn kind(given: &api::Probe, report: &mut Report) -> Option<(ProbeKind, Option<ProbePort>)> {
    if let Some(http) = &given.http {
        let written = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !http.path.starts_with('/') || !written(&http.path) || http.path.len() > PATH {
            let way_out = "begin it with /, without spaces, 1024 characters at most; what is no \
                           ASCII is written as %XX";
            let reason = format!("`{}` is not a path", http.path);
            report.add(at("http.path"), reason, hint(way_out));
        }
        if let Some(host) = &http.host
            && (host.is_empty() || !written(host) || host.len() > NAME)
        {
            let way_out = "write it without spaces, 253 characters at most, or take it away, \
                           which names the Pod's address";
            report.add(at("http.host"), format!("`{host}` is not a host"), hint(way_out));
        }
        let host = http.host.as_deref().map(Into::into);
        let kind = ProbeKind::Http { path: http.path.as_str().into(), host };
        return Some((kind, port(http.port.as_ref(), "http.port", report)));
    }
    if let Some(grpc) = &given.grpc {
        if grpc.service.len() > NAME {
            let way_out = hint("name the service as the server does, 253 characters at most");
            report.add(at("grpc.service"), "is too long", way_out);
        }
        let kind = ProbeKind::Grpc { service: grpc.service.as_str().into() };
        return Some((kind, port(grpc.port.as_ref(), "grpc.port", report)));
    }
    let tcp = given.tcp.as_ref()?;
    Some((ProbeKind::Tcp, port(tcp.port.as_ref(), "tcp.port", report)))
}

fn port(given: Option<&IntOrString>, field: &str, report: &mut Report) -> Option<ProbePort> {
    let written = match given? {
        IntOrString::Int(number) => match u16::try_from(*number) {
            Ok(number) if number > 0 => return Some(ProbePort::Number(number)),
            _ => number.to_string(),
        },
        IntOrString::String(name) if (1..=PORT).contains(&name.len()) => {
            return Some(ProbePort::Name(name.as_str().into()));
        }
        IntOrString::String(name) => name.clone(),
    };
    let way_out = "name a number from 1 to 65535 or a port of the Service, or take it away to use \
                   the port that callers are sent to";
    report.add(at(field), format!("`{written}` is not a port"), hint(way_out));
    None
}

fn at(field: &str) -> String {
    format!("{FIELD}.{field}")
}
