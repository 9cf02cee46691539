//! IPv6 and dual stack.

use std::collections::BTreeSet;

use etm_model::{Family, Protocol};
use etm_testkit::{Call, Caller, Language};

use super::Scene;
use crate::{report::Report, screen, stage::Stage, stream::by_pod};

pub(super) const SCENE: Scene = Scene {
    name: "families",
    title: "IPv4, IPv6 and both on one socket",
    about: "Service cart has an address of each family. It is called over IPv4, over IPv6, and over IPv4\n\
            through an IPv6 socket, as Java and Go programs do; by Rust and by Python.",
    play,
};

const CALLS: usize = 60;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let v4 = stage.cast.service("cart", Family::V4, Protocol::Tcp)?;
    let v6 = stage.cast.service("cart", Family::V6, Protocol::Tcp)?;
    let rust = stage.caller(etm_testkit::Protocol::Tcp);
    let python = rust.clone().language(Language::Python);
    let ways: [(&str, Caller, _); 4] = [
        ("IPv4 socket", rust.clone(), v4),
        ("IPv6 socket", rust.clone(), v6),
        ("IPv6 socket, Python", python, v6),
        ("IPv6 socket to an IPv4 address", rust.mapped(), v4),
    ];
    let (mut rows, mut right, mut own, mut spread) = (Vec::new(), 0, 0, true);
    for (name, caller, service) in ways {
        let calls = caller.calls(service, CALLS)?;
        right += calls.iter().filter(|call| sees_service(call)).count();
        own += calls.iter().filter(|call| is_seen_as_itself(call)).count();
        let peers: BTreeSet<String> =
            calls.iter().filter_map(|call| Some(call.peer?.to_string())).collect();
        let pods = by_pod(&calls);
        let callers: BTreeSet<String> = calls
            .iter()
            .filter_map(|call| Some(call.answer.as_ref()?.peer.ip().to_string()))
            .collect();
        rows.push(vec![
            name.to_owned(),
            Vec::from_iter(peers).join(" "),
            Vec::from_iter(callers).join(" "),
            pods.values().map(usize::to_string).collect::<Vec<_>>().join(" / "),
        ]);
        spread &= pods.len() == 3 && pods.values().sum::<usize>() == CALLS;
    }
    let total = CALLS * rows.len();
    screen::table(&["CALLED THROUGH", "PEER SEEN", "CLIENT SEEN BY PODS", "PER POD"], rows, &[]);

    report.check(spread, "every connection is answered, and every Pod answers each way");
    report.check(right == total, "the peer is the Service at the address that was asked for");
    report.check(own == total, "each Pod sees the client's own address of that family");
    report.key(format!("{right} of {total} connections right"));
    Ok(())
}

fn sees_service(call: &Call) -> bool {
    let peer = call.peer.map(|peer| (peer.ip().to_canonical(), peer.port()));
    peer == Some((call.target.ip(), call.target.port()))
}

fn is_seen_as_itself(call: &Call) -> bool {
    let local = call.local.map(|local| (local.ip().to_canonical(), local.port()));
    let seen = call.answer.as_ref().map(|answer| (answer.peer.ip(), answer.peer.port()));
    seen.is_some() && local == seen
}
