//! Something happens to Pods that etm's callers call.

use std::time::Duration;

use etm_dataplane::monotonic;

use super::{EJECTION, LIMIT, RATE, health, plan};
use crate::{
    caller::Report,
    covered::Covered,
    faults::Fault,
    results::{Budget, Results},
    stage::{Stage, stop},
    statistics::median,
    watch::{Fate, Watch},
};

/// How long callers call before anything happens.
const WARM: Duration = Duration::from_secs(1);

/// How long it lasts: until the callers of a black hole have given up, and over before the ejection
/// is, so that the first connection on probation succeeds.
const LASTS: Duration = Duration::from_secs(4);

/// What is waited for at most after that.
const END: Duration = Duration::from_secs(8);

/// A round: moments are of `CLOCK_MONOTONIC`.
struct Round {
    fault: Duration,
    repaired: Duration,
    /// The first of the Pods are to be ejected: none that is only slow.
    guilty: usize,
    fates: Vec<Fate>,
    report: Report,
}

pub(super) fn measure(
    stage: &mut Stage,
    fault: Fault,
    faulty: usize,
    rounds: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let name = match (fault, faulty) {
        (Fault::Refuses, _) => "refusing Pod",
        (Fault::BlackHole, 1) => "black hole",
        (Fault::BlackHole, _) => "4 of 8 Pods vanish",
        (Fault::Resets, _) => "resetting Pod",
        (Fault::IsSlow, _) => "slow Pod",
    };
    let rounds = (0..rounds).map(|_| run(stage, fault, faulty));
    let rounds = rounds.collect::<anyhow::Result<Vec<_>>>()?;
    for round in rounds.iter().filter(|round| round.guilty > 0) {
        eprintln!("{name}: {}", round.words());
    }
    let connections: u64 = rounds.iter().map(|round| round.report.connections).sum();
    results.tell(format!("{name}: connections, {RATE}/s"), connections as f64, "");
    failures(name, fault, &rounds, results);
    if fault != Fault::IsSlow {
        times(name, fault, &rounds, results);
    }
    let wrongly: usize = rounds.iter().map(Round::wrongly_ejected).sum();
    results.judge(format!("{name}: wrongly ejected"), wrongly as f64, "Pods", Budget::AtMost(0.0));
    let shunned = rounds.iter().filter(|round| round.fates.iter().any(|fate| fate.shunned)).count();
    results.tell(format!("{name}: rounds with a caller kept away alone"), shunned as f64, "");
    Ok(())
}

fn failures(name: &str, fault: Fault, rounds: &[Round], results: &mut Results) {
    let failed = || rounds.iter().map(|round| round.report.failures.len() as f64);
    results.tell(format!("{name}: failed connections, median"), median(failed()), "");
    let (what, most) = (format!("{name}: failed connections, worst round"), largest(failed()));
    match fault {
        Fault::Refuses => results.judge(what, most, "", Budget::AtMost(LIMIT)),
        Fault::IsSlow => results.judge(what, most, "", Budget::AtMost(0.0)),
        Fault::BlackHole | Fault::Resets => results.tell(what, most, ""),
    }
}

fn times(name: &str, fault: Fault, rounds: &[Round], results: &mut Results) {
    let ejected = || rounds.iter().map(Round::ejected_after);
    results.tell(format!("{name}: fault to ejection, median"), median(ejected()), "s");
    let what = format!("{name}: fault to ejection, worst round");
    match fault {
        Fault::BlackHole => results.judge(what, largest(ejected()), "s", Budget::AtMost(1.5)),
        _ => results.tell(what, largest(ejected()), "s"),
    }
    let late = largest(rounds.iter().map(Round::failed_after));
    let what = format!("{name}: ejection to the begin of the last that fails");
    match fault {
        Fault::Refuses => results.judge(what, late, "ms", Budget::AtMost(1.0)),
        _ => results.tell(what, late, "ms"),
    }
    let returned = || rounds.iter().map(Round::returned_after);
    results.tell(format!("{name}: end of the fault to return, median"), median(returned()), "s");
    results.tell(format!("{name}: end of the fault to return, worst"), largest(returned()), "s");
    let due = rounds.iter().map(|round| round.returned_after() + round.outlasts());
    results.tell(format!("{name}: end of ejectionTime to return, median"), median(due), "s");
}

fn run(stage: &mut Stage, fault: Fault, faulty: usize) -> anyhow::Result<Round> {
    let covered = Covered::start(stage, &health())?;
    let mut watch = Watch::begin(&covered, &stage.addresses(), EJECTION)?;
    let callings = covered.call(stage, &plan(stage))?;
    watch.until(monotonic() + WARM, |_| false);
    let begin = monotonic();
    fault.begin(&mut stage.servers[..faulty])?;
    watch.until(begin + LASTS, |_| false);
    fault.end(&mut stage.servers[..faulty])?;
    let repaired = monotonic();
    let back = |fates: &[Fate]| fates[..faulty].iter().all(|fate| fate.returned.is_some());
    if fault != Fault::IsSlow {
        watch.until(repaired + END, back);
        // Those that come back are to stay.
        watch.until(monotonic() + WARM, |_| false);
    }
    let report = stop(callings)?;
    let guilty = if fault == Fault::IsSlow { 0 } else { faulty };
    Ok(Round { fault: begin, repaired, guilty, fates: watch.fates, report })
}

impl Round {
    /// When the last of the faulty Pods was taken out; none where one was not.
    fn ejected(&self) -> Option<Duration> {
        let ejected = self.fates[..self.guilty].iter().map(|fate| fate.ejected);
        ejected.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Seconds from the fault to the last ejection; infinite where one was missing.
    fn ejected_after(&self) -> f64 {
        self.ejected().map_or(f64::INFINITY, |ejected| seconds(ejected, self.fault))
    }

    /// Milliseconds from the last ejection to the begin of the last connection that failed.
    fn failed_after(&self) -> f64 {
        let last = self.report.failures.iter().map(|failure| failure.began).max();
        match (self.ejected(), last) {
            (Some(ejected), Some(last)) => seconds(last, ejected).max(0.0) * 1e3,
            (Some(_), None) => 0.0,
            (None, _) => f64::INFINITY,
        }
    }

    /// Seconds from the end of the fault to the return of the last.
    fn returned_after(&self) -> f64 {
        let returned = self.fates[..self.guilty].iter().map(|fate| fate.returned);
        let last = returned.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        last.map_or(f64::INFINITY, |last| seconds(last, self.repaired))
    }

    /// Seconds from the end of the last ejection to the end of the fault, negative where the fault
    /// was over first.
    fn outlasts(&self) -> f64 {
        self.ejected().map_or(0.0, |ejected| seconds(self.repaired, ejected + EJECTION))
    }

    fn wrongly_ejected(&self) -> usize {
        self.fates[self.guilty..].iter().filter(|fate| fate.ejected.is_some()).count()
    }

    fn words(&self) -> String {
        format!(
            "{} of {} failed, ejected after {:.3} s, the last that failed began {:.3} ms later, \
             back {:.3} s after the end of the fault",
            self.report.failures.len(),
            self.report.connections,
            self.ejected_after(),
            self.failed_after(),
            self.returned_after(),
        )
    }
}

/// Seconds from one moment to another, which may be before it.
fn seconds(to: Duration, from: Duration) -> f64 {
    to.as_secs_f64() - from.as_secs_f64()
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}
