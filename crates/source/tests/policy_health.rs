//! `health`, `refusal` and `staleConnections` of a TrafficPolicy, each test named after the field, and
//! what is told of bad ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use etm_model::{
    FailureShare, HealthPolicy, Passive, Percent, Policy, Probation, Probe, ProbeKind, ProbePort,
    Problem, Refusal, Stale, StaleConnections,
};
use etm_source::convert;

const KEEP: &str = "; until then the policy counts as it was before, and a new one not at all";

fn convert_with(fields: &str) -> (Option<Policy>, Vec<Problem>) {
    let text = format!(
        "metadata: {{name: calm, namespace: shop}}\nspec: {{targetRef: {{name: cart}}, {fields}}}"
    );
    let converted = convert::traffic_policy(&serde_saphyr::from_str(&text).unwrap());
    (converted.object, converted.problems)
}

fn policy(fields: &str) -> Policy {
    let (policy, problems) = convert_with(fields);
    assert_eq!(problems, [], "{fields}");
    policy.unwrap()
}

fn health(fields: &str) -> HealthPolicy {
    (*policy(&format!("health: {{{fields}}}")).health.unwrap()).clone()
}

fn passive(fields: &str) -> Passive {
    health(&format!("passive: {{{fields}}}")).passive.unwrap()
}

fn probe(fields: &str) -> Probe {
    health(&format!("probe: {{{fields}}}")).probe.unwrap()
}

/// The problems of a policy that does not count for them, without the words that all have.
fn refused(fields: &str) -> Vec<String> {
    let (policy, problems) = convert_with(fields);
    assert_eq!(policy, None, "{fields}");
    let told = problems.into_iter().map(|problem| {
        assert_eq!(problem.object, "TrafficPolicy shop/calm");
        let hint = problem.hint.strip_suffix(KEEP).unwrap();
        format!("{}: {} ({hint})", problem.field, problem.reason)
    });
    told.collect()
}

/// What is told of one field of `health`.
#[track_caller]
fn flawed(fields: &str, told: &str) {
    assert_eq!(refused(&format!("health: {{{fields}}}")), [format!("spec.health.{told}")]);
}

fn percent(percent: u8) -> Percent {
    Percent::new(percent).unwrap()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_is_not_said() {
    let said_nothing = policy("");
    assert_eq!(said_nothing.health, None);
    assert_eq!(said_nothing.refusal, Refusal::ConnectionRefused);
    let stale = StaleConnections { tcp: Stale::Keep, udp: Stale::End };
    assert_eq!(said_nothing.stale, stale);
    // The schema and the model fill in the same.
    assert_eq!(health(""), HealthPolicy::default());
    let nested = "passive: {failureShare: {}}, probation: {}";
    assert_eq!(health(nested), HealthPolicy::default());
    assert_eq!(probe("tcp: {}"), Probe::new(ProbeKind::Tcp));
}

#[test]
fn refusal() {
    let names = Refusal::ALL.map(|refusal| (refusal, format!("{refusal:?}")));
    for (refusal, name) in names {
        assert_eq!(policy(&format!("refusal: {name}")).refusal, refusal);
    }
    let errnos = Refusal::ALL.map(Refusal::errno);
    assert_eq!(errnos, [111, 113, 110, 1, 111]);
    assert_eq!(
        refused("refusal: refused"),
        ["spec.refusal: unknown variant `refused`, expected one of `ConnectionRefused`, \
          `HostUnreachable`, `TimedOut`, `PermissionDenied`, `Anyway` (correct it)"]
    );
}

#[test]
fn stale_connections() {
    let stale = policy("staleConnections: {tcp: End}").stale;
    assert_eq!(stale, StaleConnections { tcp: Stale::End, udp: Stale::End });
    let stale = policy("staleConnections: {udp: Keep}").stale;
    assert_eq!(stale, StaleConnections { tcp: Stale::Keep, udp: Stale::Keep });
    assert_eq!(
        refused("staleConnections: {udp: Close}"),
        [
            "spec.staleConnections.udp: unknown variant `Close`, expected `Keep` or `End` (correct it)"
        ]
    );
    let told = &refused("staleConnections: {sctp: End}")[0];
    assert!(
        told.starts_with("spec.staleConnections.sctp: is not known (correct its name"),
        "{told}"
    );
}

#[test]
fn passive_failures() {
    assert_eq!(health("passive: {enabled: false}").passive, None);
    assert_eq!(passive("consecutiveFailures: 100").consecutive_failures, 100);
    assert_eq!(passive("synRetransmits: 6").syn_retransmits, 6);
    assert_eq!(passive("replyTimeout: 1s").reply_timeout, None);
    assert_eq!(passive("repliesExpected: true").reply_timeout, Some(seconds(2)));
    let sooner = passive("repliesExpected: true, replyTimeout: 300ms").reply_timeout;
    assert_eq!(sooner, Some(Duration::from_millis(300)));
    flawed(
        "passive: {replyTimeout: 0s}",
        "passive.replyTimeout: 0ns is not within 1ms and 3600s (correct it)",
    );
    for failures in ["0", "-1", "101"] {
        flawed(
            &format!("passive: {{consecutiveFailures: {failures}}}"),
            &format!(
                "passive.consecutiveFailures: {failures} is not within 1 and 100 (correct it; to \
                 eject none by its connections, set enabled: false)"
            ),
        );
    }
    flawed(
        "passive: {synRetransmits: 7}",
        "passive.synRetransmits: 7 is not within 1 and 6 (correct it)",
    );
}

#[test]
fn failure_share() {
    let share = passive("failureShare: {percent: 100, window: 1m30s, minimumConnections: 1}");
    let expected =
        FailureShare { percent: percent(100), window: seconds(90), minimum_connections: 1 };
    assert_eq!(share.failure_share, expected);
    let at = "passive.failureShare";
    flawed(
        "passive: {failureShare: {percent: 0}}",
        &format!(
            "{at}.percent: 0 is not within 1 and 100 (correct it; to eject no Pod before all of \
             its connections fail, set 100)"
        ),
    );
    for (window, shown) in [("999ms", "999ms"), ("61m", "3660s")] {
        flawed(
            &format!("passive: {{failureShare: {{window: {window}}}}}"),
            &format!("{at}.window: {shown} is not within 1s and 3600s (correct it)"),
        );
    }
    flawed(
        "passive: {failureShare: {minimumConnections: 0}}",
        &format!("{at}.minimumConnections: 0 is not within 1 and 1000000 (correct it)"),
    );
}

#[test]
fn ejection_time() {
    let given = health("ejectionTime: 500ms500ms, maxEjectionTime: 24h");
    assert_eq!((given.ejection_time, given.max_ejection_time), (seconds(1), seconds(86_400)));
    let way_out = "to eject none by its connections, set passive.enabled: false";
    flawed(
        "ejectionTime: 0s",
        &format!("ejectionTime: 0ns is not within 1s and 86400s (correct it; {way_out})"),
    );
    flawed(
        "ejectionTime: 10m",
        "maxEjectionTime: 300s is shorter than ejectionTime (raise it, or lower ejectionTime)",
    );
    let way_out = "to take a Pod out of service, make it not ready";
    flawed(
        "maxEjectionTime: 25h",
        &format!("maxEjectionTime: 90000s is not within 1s and 86400s (correct it; {way_out})"),
    );
}

#[test]
fn durations() {
    let such = "is not a duration such as 30s, 1m30s or 500ms (units h, m, s and ms, at most five \
                digits each)";
    for text in ["30", "-30s", "1.5s", "soon", "99999999999999999999999999h", ""] {
        let told = format!("ejectionTime: `{text}` {such} (correct it)");
        flawed(&format!("ejectionTime: '{text}'"), &told);
    }
    let told = "ejectionTime: invalid type: integer `30`, expected a string (correct it)";
    flawed("ejectionTime: 30", told);
}

#[test]
fn max_ejected_percent() {
    assert_eq!(health("maxEjectedPercent: 0").max_ejected_percent, percent(0));
    assert_eq!(health("maxEjectedPercent: 100").max_ejected_percent, Percent::ALL);
    for given in ["101", "-1"] {
        flawed(
            &format!("maxEjectedPercent: {given}"),
            &format!(
                "maxEjectedPercent: {given} is not within 0 and 100 (correct it; 0 ejects none, \
                 100 all if need be)"
            ),
        );
    }
}

#[test]
fn probation() {
    let given = health("probation: {interval: 250ms, successes: 1}").probation;
    assert_eq!(given, Probation { interval: Duration::from_millis(250), successes: 1 });
    flawed(
        "probation: {interval: 0s}",
        "probation.interval: 0ns is not within 1ms and 86400s (correct it)",
    );
    flawed(
        "probation: {successes: 0}",
        "probation.successes: 0 is not within 1 and 100 (correct it)",
    );
}

#[test]
fn probe_kinds() {
    let given = probe("http: {path: '/ready?deep=1', host: cart.shop, port: 8081}, interval: 2s");
    let http = ProbeKind::Http { path: "/ready?deep=1".into(), host: Some("cart.shop".into()) };
    let port = Some(ProbePort::Number(8081));
    assert_eq!(given, Probe { port, interval: seconds(2), ..Probe::new(http) });
    let plain = Probe::new(ProbeKind::Http { path: "/".into(), host: None });
    assert_eq!(probe("http: {}"), plain);
    let given = probe("grpc: {service: cart, port: admin}, unhealthyThreshold: 1");
    let grpc = Probe::new(ProbeKind::Grpc { service: "cart".into() });
    let port = Some(ProbePort::Name("admin".into()));
    assert_eq!(given, Probe { port, unhealthy_threshold: 1, ..grpc });
    assert_eq!(probe("grpc: {}"), Probe::new(ProbeKind::Grpc { service: "".into() }));
    assert_eq!(probe("tcp: {port: 9}").port, Some(ProbePort::Number(9)));
    for kinds in ["", "interval: 1s", "tcp: {}, http: {}", "tcp: {}, http: {}, grpc: {}"] {
        flawed(
            &format!("probe: {{{kinds}}}"),
            "probe: needs exactly one of tcp, http and grpc (keep one, or take probe away)",
        );
    }
}

#[test]
fn probe_fields() {
    let way_out = "name a number from 1 to 65535 or a port of the Service, or take it away to use \
                   the port that callers are sent to";
    let long = "p".repeat(64);
    for port in ["0", "65536", "-1", "''", &long] {
        let shown = port.trim_matches('\'');
        flawed(
            &format!("probe: {{tcp: {{port: {port}}}}}"),
            &format!("probe.tcp.port: `{shown}` is not a port ({way_out})"),
        );
    }
    let way_out = "begin it with /, without spaces, 1024 characters at most; what is no ASCII is \
                   written as %XX";
    for path in ["", "ready", "/a b", "/ä"] {
        flawed(
            &format!("probe: {{http: {{path: '{path}'}}}}"),
            &format!("probe.http.path: `{path}` is not a path ({way_out})"),
        );
    }
    flawed(
        "probe: {http: {host: ''}}",
        "probe.http.host: `` is not a host (write it without spaces, 253 characters at most, or \
         take it away, which names the Pod's address)",
    );
    flawed(
        "probe: {tcp: {}, interval: 500ms, timeout: 100ms}",
        "probe.interval: 500ms is not within 1s and 86400s (correct it)",
    );
    flawed(
        "probe: {tcp: {}, timeout: 11s}",
        "probe.timeout: 11s is longer than interval (lower it, or raise interval)",
    );
    flawed(
        "probe: {tcp: {}, timeout: 0s}",
        "probe.timeout: 0ns is not within 1ms and 86400s (correct it)",
    );
    for field in ["unhealthyThreshold", "healthyThreshold"] {
        flawed(
            &format!("probe: {{tcp: {{}}, {field}: 0}}"),
            &format!("probe.{field}: 0 is not within 1 and 100 (correct it)"),
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let told = refused("health: {maxEjectedPercent: 101, probation: {successes: 0}, probe: {}}");
    let fields: Vec<_> = told.iter().map(|told| told.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        ["spec.health.maxEjectedPercent", "spec.health.probation.successes", "spec.health.probe"]
    );
}
