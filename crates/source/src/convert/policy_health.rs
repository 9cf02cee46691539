//! `TrafficPolicy.spec.health`, `.refusal` and `.staleConnections`.

use std::{ops::RangeInclusive, time::Duration};

use etm_api as api;
use etm_model::{
    FailureShare, HealthPolicy, Passive, Percent, Probation, Refusal, Stale, StaleConnections,
};

use super::{policy_probe::probe, report::Report, traffic_policy::hint};

const FIELD: &str = "spec.health";

/// When a Pod is ejected; what is wrong is told, and stands as it is by default.
pub(super) fn health(given: &api::Health, report: &mut Report) -> HealthPolicy {
    let least = Duration::from_secs(1);
    let ejection_time = checked(
        given.ejection_time.get(),
        least..=HealthPolicy::MAX_TIME,
        (&at("ejectionTime"), "to eject none by its connections, set passive.enabled: false"),
        report,
    );
    let max_ejection_time = checked(
        given.max_ejection_time.get(),
        least..=HealthPolicy::MAX_TIME,
        (&at("maxEjectionTime"), "to take a Pod out of service, make it not ready"),
        report,
    );
    let (first, longest) = (given.ejection_time.get(), given.max_ejection_time.get());
    if first > longest {
        let reason = format!("{longest:?} is shorter than ejectionTime");
        let way_out = hint("raise it, or lower ejectionTime");
        report.add(at("maxEjectionTime"), reason, way_out);
    }
    let percent = number(
        given.max_ejected_percent,
        0..=100,
        (&at("maxEjectedPercent"), "0 ejects none, 100 all if need be"),
        report,
    );
    HealthPolicy {
        passive: given.passive.enabled.then(|| passive(&given.passive, report)),
        ejection_time,
        max_ejection_time,
        max_ejected_percent: Percent::new(percent).unwrap_or(Percent::ALL),
        probation: probation(&given.probation, report),
        probe: given.probe.as_ref().and_then(|given| probe(given, report)),
    }
}

fn passive(given: &api::Passive, report: &mut Report) -> Passive {
    let at = |field: &str| at(&format!("passive.{field}"));
    let share = &given.failure_share;
    let percent = number(
        share.percent,
        FailureShare::PERCENT,
        (
            &at("failureShare.percent"),
            "to eject no Pod before all of its connections fail, set 100",
        ),
        report,
    );
    let reply_timeout = checked(
        given.reply_timeout.get(),
        Passive::REPLY_TIMEOUT,
        (&at("replyTimeout"), ""),
        report,
    );
    Passive {
        consecutive_failures: number(
            given.consecutive_failures,
            Passive::CONSECUTIVE_FAILURES,
            (&at("consecutiveFailures"), "to eject none by its connections, set enabled: false"),
            report,
        ),
        failure_share: FailureShare {
            percent: Percent::new(percent).unwrap_or(Percent::ALL),
            window: checked(
                share.window.get(),
                FailureShare::WINDOW,
                (&at("failureShare.window"), ""),
                report,
            ),
            minimum_connections: number(
                share.minimum_connections,
                FailureShare::MINIMUM_CONNECTIONS,
                (&at("failureShare.minimumConnections"), ""),
                report,
            ),
        },
        syn_retransmits: number(
            given.syn_retransmits,
            Passive::SYN_RETRANSMITS,
            (&at("synRetransmits"), ""),
            report,
        ),
        reply_timeout: given.replies_expected.then_some(reply_timeout),
    }
}

fn probation(given: &api::Probation, report: &mut Report) -> Probation {
    let at = |field: &str| at(&format!("probation.{field}"));
    Probation {
        interval: checked(
            given.interval.get(),
            SHORTEST..=HealthPolicy::MAX_TIME,
            (&at("interval"), ""),
            report,
        ),
        successes: number(given.successes, Probation::SUCCESSES, (&at("successes"), ""), report),
    }
}

/// The shortest time that is more than none.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// What callers see while no Pod is usable.
pub(super) const fn refusal(given: api::Refusal) -> Refusal {
    match given {
        api::Refusal::ConnectionRefused => Refusal::ConnectionRefused,
        api::Refusal::HostUnreachable => Refusal::HostUnreachable,
        api::Refusal::TimedOut => Refusal::TimedOut,
        api::Refusal::PermissionDenied => Refusal::PermissionDenied,
        api::Refusal::Anyway => Refusal::Anyway,
    }
}

/// What becomes of sockets whose Pod is gone or ejected.
pub(super) const fn stale(given: api::StaleConnections) -> StaleConnections {
    const fn of(given: api::Stale) -> Stale {
        match given {
            api::Stale::Keep => Stale::Keep,
            api::Stale::End => Stale::End,
        }
    }
    StaleConnections { tcp: of(given.tcp), udp: of(given.udp) }
}

/// A number within a range; what is not is told, with the field and a further way out, and is the
/// least that it may be.
pub(super) fn number<T>(
    given: i32,
    allowed: RangeInclusive<T>,
    field: (&str, &str),
    report: &mut Report,
) -> T
where
    T: TryFrom<i32> + PartialOrd + Copy + std::fmt::Display,
{
    if let Ok(number) = T::try_from(given)
        && allowed.contains(&number)
    {
        return number;
    }
    let (least, most) = (*allowed.start(), *allowed.end());
    outside(&given.to_string(), (&least.to_string(), &most.to_string()), field, report);
    least
}

/// The same of a time.
pub(super) fn checked(
    given: Duration,
    allowed: RangeInclusive<Duration>,
    field: (&str, &str),
    report: &mut Report,
) -> Duration {
    if allowed.contains(&given) {
        return given;
    }
    let [given, least, most] = [given, *allowed.start(), *allowed.end()].map(|d| format!("{d:?}"));
    outside(&given, (&least, &most), field, report);
    *allowed.start()
}

fn outside(
    given: &str,
    (least, most): (&str, &str),
    (field, way_out): (&str, &str),
    report: &mut Report,
) {
    let way_out = if way_out.is_empty() { "" } else { &format!("; {way_out}") };
    let reason = format!("{given} is not within {least} and {most}");
    report.add(field, reason, hint(&format!("correct it{way_out}")));
}

fn at(field: &str) -> String {
    format!("{FIELD}.{field}")
}
