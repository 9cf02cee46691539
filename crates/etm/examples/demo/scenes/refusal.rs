//! Refusal, when no Pod is left.

use std::{
    io,
    time::{Duration, Instant},
};

use etm_model::Protocol;
use etm_testkit::Call;

use super::Scene;
use crate::{
    report::Report,
    screen::{fact, time},
    stage::{Stage, wait_for},
};

pub(super) const SCENE: Scene = Scene {
    name: "refusal",
    title: "Refused at once when no Pod is left",
    about: "All Pods of catalog become not ready. connect() fails at once, with the error that a closed\n\
            port gives, instead of waiting for an answer that cannot come.",
    play,
};

const PODS: &[&str] = &["catalog-1", "catalog-2"];
const CALLS: usize = 200;

/// `ECONNREFUSED` of Linux.
const REFUSED: i32 = 111;

/// A refusal takes some microseconds; this tells it from anything that waits.
const LIMIT: Duration = Duration::from_millis(1);

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let catalog = stage.service("catalog", Protocol::Tcp)?;
    let caller = stage.caller(etm_testkit::Protocol::Tcp);
    let counted = stage.counter("connect-no-endpoints")?;
    let mut session = caller.session(catalog)?;
    // Once before, since what is timed next is not how long a caller takes to start.
    session.call()?;
    let written = Instant::now();
    stage.files.set_ready(PODS, false)?;
    let (_, off) =
        wait_for("a refusal", written, || Ok(is_refused(&session.call()?).then_some(())))?;
    let calls = caller.calls(catalog, CALLS)?;
    let no_pod = caller.call(stage.service("payment", Protocol::Tcp)?)?;
    let counted = stage.counter("connect-no-endpoints")? - counted;
    let written = Instant::now();
    stage.files.set_ready(PODS, true)?;
    let (_, on) = wait_for("an answer", written, || Ok(session.call()?.answered().then_some(())))?;

    let refused = calls.iter().filter(|call| is_refused(call)).count();
    let mut times: Vec<u64> = calls.iter().map(|call| call.total_us).collect();
    times.sort_unstable();
    let [half, most] = [CALLS / 2, CALLS - 1]
        .map(|i| Duration::from_micros(times.get(i).copied().unwrap_or(u64::MAX)));
    fact("from the write to the first refusal", time(off));
    fact("connect() to catalog then gives", io::Error::from_raw_os_error(REFUSED));
    fact("after, of 200 calls", format_args!("{} (median), {} (longest)", time(half), time(most)));
    fact("payment, which never had a Pod", no_pod.error.as_deref().unwrap_or("-"));
    fact("counter connect-no-endpoints", format_args!("+{counted}"));
    fact("from the write back to the first answer", time(on));
    println!();

    report.check(refused == CALLS, format_args!("{refused} of {CALLS} calls are refused"));
    report.check(half < LIMIT, format_args!("within {}", time(LIMIT)));
    report.check(is_refused(&no_pod), "so is a Service that never had a Pod");
    // One for the call that ended the wait, one for payment.
    let expected = CALLS as u64 + 2;
    report.check(counted == expected, format_args!("the kernel counted each: {counted}"));
    report.key(format!("ECONNREFUSED after {}", time(half)));
    Ok(())
}

fn is_refused(call: &Call) -> bool {
    call.errno == Some(REFUSED)
}
