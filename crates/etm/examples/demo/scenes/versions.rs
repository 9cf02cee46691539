//! Who calls which version: a canary by the callers' labels, then by a share of them, back, and a
//! switch of all callers at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use etm_model::{Family, Protocol};
use serde_json::{Value, json};

use super::Scene;
use crate::{
    crowd::Crowd,
    interrupt,
    report::Report,
    screen::{self, fact, time},
    stage::{Stage, wait_for},
    stream::{Sample, Stream},
};

pub(super) const SCENE: Scene = Scene {
    name: "versions",
    title: "Who calls which version",
    about: "cart-3 is the new version of Service cart. A TrafficRoute sends callers with the label\n\
            track=canary to it, then 5%, 50% and 100% of all callers, and back. Last, every caller is\n\
            switched from the old version to the new one at once, under load.",
    play,
};

const CALLERS: u32 = 100;
/// Every so manieth caller has the label.
const LABELLED: u32 = 10;
const ROUTE: &str = "versions-route.yaml";
const VERSIONS: &str = "versions.yaml";
const NEW: &str = "cart-3";
const SPAN: Duration = Duration::from_millis(600);

/// Who found which Pod.
type Found = BTreeMap<String, String>;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.files.add(VERSIONS, &manifests(stage)?)?;
    let service = stage.service("cart", Protocol::Tcp)?;
    let mut crowd = Crowd::gather(stage, CALLERS, service)?;
    route(stage, &json!([{"from": labelled(), "to": new()}, {"to": old()}]))?;
    let by_label = of_new(&wait_until(&mut crowd, |found| {
        of_new(found).len() == (CALLERS / LABELLED) as usize
    })?);
    let mut shares = Vec::new();
    for percent in [5, 50, 100] {
        let before = shares.last().cloned().unwrap_or_default();
        route(stage, &json!([{"percent": percent, "to": new()}, {"to": old()}]))?;
        let changed = wait_until(&mut crowd, |found| {
            let now = of_new(found);
            now.is_superset(&before) && now != by_label && now != before
        })?;
        shares.push(of_new(&changed));
    }
    route(stage, &json!([{"percent": 0, "to": new()}, {"to": old()}]))?;
    let back = of_new(&wait_until(&mut crowd, |found| of_new(found).is_empty())?);
    drop(crowd);
    let switch = switch(stage)?;
    stage.files.remove(ROUTE)?;
    stage.files.remove(VERSIONS)?;

    let mut rows = vec![vec!["label track=canary".to_owned(), by_label.len().to_string()]];
    for (percent, callers) in ["5%", "50%", "100%"].iter().zip(&shares) {
        rows.push(vec![format!("{percent} of callers"), callers.len().to_string()]);
    }
    rows.push(vec!["0%, rolled back".to_owned(), back.len().to_string()]);
    screen::table(&["THE ROUTE SAYS", "CALLERS ON THE NEW VERSION"], rows, &[1]);
    fact("connections during the switch", switch.connections);
    fact("from the write to the last one on the old version", time(switch.last_old));
    println!();

    let expected: BTreeSet<_> = (0..CALLERS).step_by(LABELLED as usize).map(Crowd::name).collect();
    report.check(by_label == expected, "exactly the callers with the label get the new version");
    let grows = shares.windows(2).all(|pair| pair[0].is_subset(&pair[1]));
    report.check(grows, "whoever had the new version keeps it while the share grows");
    report.check(
        shares.last().is_some_and(|all| all.len() == CALLERS as usize),
        "100% are all of them",
    );
    report.check(back.is_empty(), "after the roll-back nobody gets it");
    report.check(
        switch.failed == 0 && switch.mixed == 0,
        format_args!(
            "the switch: {} connections failed, {} reached the old version after the new one",
            switch.failed, switch.mixed
        ),
    );
    report.key(format!(
        "{} -> {} -> {} -> {} -> 0 of {CALLERS} callers; switch in {}",
        by_label.len(),
        shares.first().map_or(0, BTreeSet::len),
        shares.get(1).map_or(0, BTreeSet::len),
        shares.last().map_or(0, BTreeSet::len),
        time(switch.last_old)
    ));
    Ok(())
}

/// What a switch under load came to.
struct Switch {
    connections: usize,
    failed: usize,
    /// Connections that began after one had reached the new version, and reached the old one.
    mixed: usize,
    last_old: Duration,
}

fn switch(stage: &Stage) -> anyhow::Result<Switch> {
    route(stage, &json!([{"to": old()}]))?;
    wait_for("the old version", Instant::now(), || Ok(classes(stage, 1)?.then_some(())))?;
    let service = stage.service("cart", Protocol::Tcp)?;
    let stream = Stream::start(stage.caller(etm_testkit::Protocol::Tcp).session(service)?)?;
    interrupt::sleep(SPAN)?;
    let written = Instant::now();
    route(stage, &json!([{"to": new()}]))?;
    interrupt::sleep(SPAN)?;
    let samples = stream.finish()?;
    let is_new = |sample: &&Sample| sample.call.pod() == Some(NEW);
    let first = samples.iter().find(is_new).context("nobody reached the new version")?.ended;
    let after = samples.iter().filter(|sample| sample.started > first);
    let last = samples.iter().rfind(|sample| !is_new(sample)).map_or(written, |last| last.ended);
    Ok(Switch {
        connections: samples.len(),
        failed: samples.iter().filter(|sample| !sample.call.answered()).count(),
        mixed: after.filter(|sample| !is_new(sample)).count(),
        last_old: last.saturating_duration_since(written),
    })
}

/// The two versions as Services, and the callers, as the API server would know them.
fn manifests(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    let endpoints = stage.cast.endpoints("cart", Family::V4, Protocol::Tcp);
    let versions = [("cart-old", "10.96.0.18", false), ("cart-new", "10.96.0.19", true)];
    for (name, address, is_new) in versions {
        let pods = endpoints.iter().filter(|(_, pod)| pod.ends_with(NEW) == is_new);
        let endpoints: Vec<_> = pods
            .map(|(at, pod)| {
                let name = pod.rsplit('/').next().unwrap_or(pod);
                json!({"addresses": [at.ip()], "targetRef": {"kind": "Pod", "name": name}})
            })
            .collect();
        all.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80}]},
        }));
        all.push(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": name, "namespace": "shop",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": endpoints,
        }));
    }
    for (number, mut caller) in (0..).zip(Crowd::manifests(&stage.client, CALLERS)) {
        if u32::is_multiple_of(number, LABELLED) {
            caller["metadata"]["labels"] = json!({"track": "canary"});
        }
        all.push(caller);
    }
    Ok(all)
}

fn labelled() -> Value {
    json!([{"podSelector": {"matchLabels": {"track": "canary"}}}])
}

fn old() -> Value {
    json!([{"service": {"name": "cart-old"}}])
}

fn new() -> Value {
    json!([{"service": {"name": "cart-new"}}])
}

fn route(stage: &Stage, rules: &Value) -> anyhow::Result<()> {
    let route = json!({
        "apiVersion": "etm.dev/v1alpha1", "kind": "TrafficRoute",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"targetRef": {"name": "cart"}, "rules": rules},
    });
    stage.files.add(ROUTE, &[route])
}

/// Whether the route of Service cart has so many classes of callers.
fn classes(stage: &Stage, count: usize) -> anyhow::Result<bool> {
    let rows = stage.get("routes")?;
    let rows = rows.as_array().into_iter().flatten();
    let cart = rows.filter(|row| row["address"] == "10.96.0.10:80");
    Ok(cart.count() == count)
}

/// Has all of them call until what they find is as it should be, twice: the route may change while
/// they call.
fn wait_until(crowd: &mut Crowd, holds: impl Fn(&Found) -> bool) -> anyhow::Result<Found> {
    let mut before = None;
    let (found, _) = wait_for("the callers to find it", Instant::now(), || {
        let found = crowd.find()?;
        let new = of_new(&found);
        let settled = before.as_ref() == Some(&new) && holds(&found);
        before = Some(new);
        Ok(settled.then_some(found))
    })?;
    Ok(found)
}

fn of_new(found: &Found) -> BTreeSet<String> {
    found.iter().filter(|(_, pod)| *pod == NEW).map(|(name, _)| name.clone()).collect()
}
