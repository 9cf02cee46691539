//! UDP: a socket that is never connected keeps its Pod.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use etm_model::Protocol;
use etm_testkit::Protocol::UdpUnconnected;

use super::Scene;
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, share, time},
    stage::{Stage, wait_for},
    stream::by_pod,
};

pub(super) const SCENE: Scene = Scene {
    name: "udp",
    title: "UDP keeps its Pod while the Pod is there",
    about: "A UDP socket sends to Service dns without connect(). All its datagrams go to one Pod, as a\n\
            session over UDP needs; they move when that Pod is removed. Replies come from the Service.",
    play,
};

const DATAGRAMS: usize = 1_000;
const SOCKETS: usize = 40;
const LIMIT: Duration = Duration::from_millis(50);

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("dns", Protocol::Udp)?;
    let caller = stage.caller(UdpUnconnected);
    let mut session = caller.session(service)?;
    let mut before = Vec::new();
    for _ in 0..DATAGRAMS {
        interrupt::check()?;
        before.push(session.call()?);
    }
    let kept = by_pod(&before);
    let pod = kept.keys().next().context("no datagram was answered")?.clone();
    let moved_from = Some(pod.as_str());

    let written = Instant::now();
    stage.files.set_ready(&[&pod], false)?;
    let (_, moved) = wait_for("another Pod", written, || {
        let call = session.call()?;
        Ok((call.answered() && call.pod() != moved_from).then_some(()))
    })?;
    let mut after = Vec::new();
    for _ in 0..DATAGRAMS {
        interrupt::check()?;
        after.push(session.call()?);
    }
    stage.files.set_ready(&[&pod], true)?;
    // One socket each, once both Pods are back: a process a socket is what takes the time here.
    interrupt::sleep(LIMIT)?;
    let mut first = Vec::new();
    for _ in 0..SOCKETS {
        interrupt::check()?;
        first.push(caller.call(service)?);
    }

    let counts = by_pod(&first);
    let others = by_pod(&after);
    let names = |counts: &std::collections::BTreeMap<String, usize>| {
        counts.keys().cloned().collect::<Vec<_>>().join(", ")
    };
    fact("datagrams of one socket, answered by", format_args!("{DATAGRAMS}, {}", names(&kept)));
    fact("from the write to the first on another Pod", time(moved));
    fact("datagrams since, answered by", format_args!("{DATAGRAMS}, {}", names(&others)));
    let source = after.last().and_then(|call| call.source);
    fact("replies come from", source.map(|s| s.to_string()).unwrap_or_default());
    println!();
    let rows = counts
        .iter()
        .map(|(pod, count)| vec![pod.clone(), count.to_string(), share(*count, SOCKETS)]);
    screen::table(&["POD", "SOCKETS", "SHARE"], rows.collect(), &[1, 2]);

    let all = before.iter().chain(&after);
    let answered = all.clone().filter(|call| call.answered()).count();
    let own = all.filter(|call| call.source == Some(service)).count();
    let total = 2 * DATAGRAMS;
    report.check(answered == total, format_args!("{answered} of {total} datagrams are answered"));
    report.check(kept.len() == 1, "one socket keeps one Pod");
    report.check(others.len() == 1 && !others.contains_key(&pod), "then it keeps the other");
    report.check(moved < LIMIT, format_args!("it moves within {}", time(LIMIT)));
    report.check(own == total, "every reply comes from the Service's address");
    report.check(counts.len() == 2, "different sockets use different Pods");
    report.key(format!("{total} datagrams, moved once, after {}", time(moved)));
    Ok(())
}
