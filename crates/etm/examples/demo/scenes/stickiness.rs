//! Consistent hashing: callers keep their Pods while another Pod goes and comes back.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use etm_model::Protocol;
use etm_testkit::objects::{TrafficPolicy, consistent_hash};

use super::Scene;
use crate::{
    crowd::Crowd,
    interrupt,
    report::Report,
    screen,
    stage::{Stage, wait_for},
};

pub(super) const SCENE: Scene = Scene {
    name: "stickiness",
    title: "Each caller has a Pod of its own",
    about: "A TrafficPolicy gives Service cart consistent hashing by the calling Pod. A hundred Pods, each\n\
            in a cgroup of its own, call it while cart-2 is there, while it is not, and when it is back.",
    play,
};

const CALLERS: u32 = 100;
const POLICY: &str = "stickiness.yaml";
const LOST: &str = "cart-2";

/// Who found which Pod.
type Found = BTreeMap<String, String>;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    stage.files.add(POLICY, &manifests(stage))?;
    let mut crowd = Crowd::gather(stage, CALLERS, service)?;
    wait_for("the callers to be known", Instant::now(), || {
        Ok((known(stage)? == CALLERS as usize).then_some(()))
    })?;
    let before = crowd.find()?;
    let again = crowd.find()?;
    set_ready(stage, false)?;
    let without = crowd.find()?;
    set_ready(stage, true)?;
    let back = crowd.find()?;
    stage.files.remove(POLICY)?;

    let rows = ["cart-1", LOST, "cart-3"].map(|pod| {
        let counts = [&before, &without, &back].map(|found| callers_of(found, pod));
        let counts = counts.map(|count| if count == 0 { "-".into() } else { count.to_string() });
        [pod.to_owned()].into_iter().chain(counts).collect()
    });
    let header = ["POD", "CALLERS", "WITHOUT CART-2", "CART-2 IS BACK"];
    screen::table(&header, rows.into(), &[1, 2, 3]);
    let own = callers_of(&before, LOST);
    let gone = moved(&before, &without);
    let others = gone.iter().filter(|caller| before[**caller] != LOST).count();
    screen::fact("callers that moved when cart-2 went", gone.len());
    screen::fact("of these, callers of another Pod", others);
    screen::fact("callers that were elsewhere once it was back", moved(&before, &back).len());
    println!();

    let spread = ["cart-1", LOST, "cart-3"].iter().all(|pod| callers_of(&before, pod) > 0);
    report.check(spread, "every Pod has callers");
    report.check(again == before, "each caller finds the same Pod again");
    report.check(
        gone.len() == own && others == 0,
        format_args!("the {own} callers of cart-2 move, and no other"),
    );
    report.check(back == before, "they return with it, and no other moves");
    report.key(format!("{} of {CALLERS} callers moved, all {own} those of cart-2", gone.len()));
    Ok(())
}

/// The callers, as the API server would know them, and the policy.
fn manifests(stage: &Stage) -> Vec<serde_json::Value> {
    let policy =
        TrafficPolicy::new("cart", consistent_hash(&["callerPod"])).namespace("shop").into();
    [policy].into_iter().chain(Crowd::manifests(&stage.client, CALLERS)).collect()
}

/// Pods that the kernel tells apart by their cgroups.
fn known(stage: &Stage) -> anyhow::Result<usize> {
    let rows = stage.get("callers")?;
    let rows = rows.as_array().context("`etm get callers` gives rows")?;
    let pod = |row: &&serde_json::Value| {
        row["uid"] != "" && row["pod"].as_str().is_some_and(|pod| !pod.is_empty())
    };
    Ok(rows.iter().filter(pod).count())
}

/// Says whether the Pod is ready, and waits until the kernel has it so.
fn set_ready(stage: &mut Stage, ready: bool) -> anyhow::Result<()> {
    stage.files.set_ready(&[LOST], ready)?;
    let named = format!("shop/{LOST}");
    wait_for("the change", Instant::now(), || {
        interrupt::check()?;
        let rows = stage.get("backends")?;
        let mut rows = rows.as_array().into_iter().flatten();
        Ok((rows.any(|row| row["pod"] == named.as_str()) == ready).then_some(()))
    })?;
    Ok(())
}

fn callers_of(found: &Found, pod: &str) -> usize {
    found.values().filter(|found| *found == pod).count()
}

/// Whose Pods differ.
fn moved<'a>(before: &'a Found, after: &Found) -> Vec<&'a String> {
    before
        .iter()
        .filter(|(name, pod)| after.get(*name) != Some(pod))
        .map(|(name, _)| name)
        .collect()
}
