//! The agent is killed, and connections go on.

use std::time::Instant;

use anyhow::bail;
use etm_model::Protocol;

use super::{SPAN, Scene};
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, note, time},
    stage::Stage,
    stream::{Stream, between, by_pod},
};

pub(super) const SCENE: Scene = Scene {
    name: "restart",
    title: "The agent is killed, and nobody notices",
    about: "The agent gets SIGKILL while a client connects to cart without a pause, stays away, and is\n\
            started again: it adopts what is in the kernel.",
    play,
};

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    let caller = stage.caller(etm_testkit::Protocol::Tcp);
    let mut old = caller.clone().keep_open().session(service)?;
    let opened = old.call()?;
    let begun = Instant::now();
    let stream = Stream::start(caller.session(service)?)?;
    interrupt::sleep(SPAN)?;

    let Some(agent) = stage.agent.take() else { bail!("no agent runs") };
    let killed = Instant::now();
    agent.kill()?;
    interrupt::sleep(SPAN)?;
    let shown = stage.get("services")?.as_array().map(Vec::len).unwrap_or_default();
    let restarted = Instant::now();
    stage.agent = Some(stage.describe_agent().start()?);
    let ready = Instant::now();
    interrupt::sleep(SPAN)?;
    let samples = stream.finish()?;
    let kept = old.call()?;

    let end = Instant::now();
    let spans = [
        ("the agent runs", begun, killed),
        ("it is killed, and none runs", killed, restarted),
        ("it is started again", restarted, end),
    ];
    let rows = spans.map(|(name, from, to)| {
        let calls = between(&samples, from, to);
        let answered = calls.iter().filter(|call| call.answered()).count();
        let pods = by_pod(calls.iter().copied()).len();
        let failed = calls.len() - answered;
        vec![name.to_owned(), calls.len().to_string(), failed.to_string(), pods.to_string()]
    });
    let down = between(&samples, killed, restarted).len();
    screen::table(&["WHILE", "CONNECTIONS", "FAILED", "PODS"], rows.into(), &[1, 2, 3]);
    fact("without an agent for", time(ready - killed));
    fact("addresses in `etm get services` meanwhile", shown);
    fact("from start to ready", time(ready - restarted));
    note(stage.ready_line());
    println!();

    let failed = samples.iter().filter(|sample| !sample.call.answered()).count();
    report.check(failed == 0, format_args!("{} connections, {failed} failed", samples.len()));
    report.check(down > 0, format_args!("{down} of them while no agent ran"));
    report.check(
        kept.answered() && kept.local == opened.local && kept.pod() == opened.pod(),
        "a connection opened before is the same one afterwards",
    );
    report.check(shown > 0, "`etm get` works without an agent");
    let line = stage.ready_line();
    let untouched = [" 0 added, 0 changed, 0 removed, 0 repaired", " 0 replaced, 0 attached"];
    report.check(
        untouched.iter().all(|part| line.contains(part)),
        "the new agent adopted everything and changed nothing",
    );
    report.key(format!("{} connections, {failed} failed", samples.len()));
    Ok(())
}
