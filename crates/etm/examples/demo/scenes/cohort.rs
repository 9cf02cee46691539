//! A chain of three Services in one release: a request stays with the version that it has reached first.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::{Value, json};

use super::Scene;
use crate::{
    relay::{Relay, walks},
    report::Report,
    screen::{self, percent},
    stage::{Stage, wait_for},
    town::{Town, deployment, release, service},
};

pub(crate) const SCENE: Scene = Scene {
    name: "cohort",
    title: "One version from end to end",
    about: "Services front, cart and stock call one another, two Pods of each version of each. First as\n\
            they are, then in one Release whose new version is for half of the callers. No header is\n\
            passed on: who calls decides.",
    play,
};

/// In the order in which a request passes them.
const CHAIN: [&str; 3] = ["front", "cart", "stock"];
const VERSIONS: [&str; 2] = ["1", "2"];
const CALLERS: usize = 8;
const REQUESTS: usize = 150;
/// Pods of each version of each Service.
const PODS: u32 = 2;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let town = stage.town()?;
    let namespace = town.cluster.namespace()?;
    town.apply(&namespace, &objects())?;
    let _servers = serve(town, &namespace)?;
    let front = town.service(&namespace, CHAIN[0])?;
    let callers = town.pods(&namespace, "caller");

    let mut rows = Vec::new();
    let before = Walked::of(&walks(&callers, front, REQUESTS)?);
    rows.push(before.row("no release"));

    let services = CHAIN.map(|name| {
        let version = |version| json!({"service": format!("{name}-{version}")});
        json!({"service": name, "stable": version("1"), "new": version("2")})
    });
    let canary = json!({"canary": {"steps": [
        {"callers": [{"podSelector": {"matchLabels": {"half": "one"}}}], "pause": {}},
    ]}});
    town.apply(&namespace, &[release("two", &json!(services), &canary, &Value::Null)])?;
    town.until_phase((&namespace, "two"), "Paused", Instant::now())?;
    until_routed(town, &namespace)?;
    let ways = walks(&callers, front, REQUESTS)?;
    let during = Walked::of(&ways);
    rows.push(during.row("new for half of the callers"));

    screen::table(
        &["REQUESTS OF 8 CALLERS", "SENT", "ALL OLD", "ALL NEW", "CROSSED"],
        rows,
        &[1, 2, 3, 4],
    );
    report.check(
        before.crossed > 0,
        format_args!("without a release {} requests crossed versions", before.crossed),
    );
    let chosen: BTreeSet<_> = (0..CALLERS).step_by(2).map(caller).collect();
    let exact = ways.iter().all(|(name, ways)| {
        let version = if chosen.contains(name) { "2" } else { "1" };
        ways.iter().all(|way| versions(way).iter().all(|found| *found == version))
    });
    report.check(
        during.crossed == 0 && during.sent == CALLERS * REQUESTS,
        format_args!("in a release {} of {} crossed", during.crossed, during.sent),
    );
    report.check(exact, "exactly the chosen callers got the new version, of all three Services");
    report.key(format!(
        "{} of {} requests crossed, {:.0}% without a release",
        during.crossed,
        during.sent,
        percent(before.crossed, before.sent)
    ));
    town.cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"])?;
    Ok(())
}

/// What became of requests.
struct Walked {
    sent: usize,
    old: usize,
    new: usize,
    crossed: usize,
}

impl Walked {
    fn of(ways: &BTreeMap<String, Vec<String>>) -> Self {
        let ways: Vec<_> = ways.values().flatten().map(|way| versions(way)).collect();
        let all = |version: &str| {
            let whole = |way: &&Vec<&str>| {
                way.len() == CHAIN.len() && way.iter().all(|found| *found == version)
            };
            ways.iter().filter(whole).count()
        };
        let (sent, old, new) = (ways.len(), all("1"), all("2"));
        // Whatever is not whole counts as crossed.
        Self { sent, old, new, crossed: sent - old - new }
    }

    fn row(&self, what: &str) -> Vec<String> {
        let counts = [self.sent, self.old, self.new, self.crossed];
        std::iter::once(what.to_owned()).chain(counts.map(|count| count.to_string())).collect()
    }
}

/// The versions that a request met: of `front-1-...` it is 1.
fn versions(way: &str) -> Vec<&str> {
    way.split(' ').filter_map(|pod| pod.split('-').nth(1)).collect()
}

fn caller(number: usize) -> String {
    format!("caller-{number}")
}

fn objects() -> Vec<Value> {
    let mut all = Vec::new();
    for name in CHAIN {
        all.push(service(name, &json!({"app": name})));
        for version in VERSIONS {
            let (labels, name) =
                (json!({"app": name, "version": version}), format!("{name}-{version}"));
            all.push(service(&name, &labels));
            all.push(deployment(&name, &labels, PODS, false));
        }
    }
    all.extend((0..CALLERS).map(|number| {
        let half = if number % 2 == 0 { "one" } else { "other" };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": caller(number), "labels": {"half": half}},
            "spec": {"containers": [{"name": "main", "image": "example.org/caller"}]},
        })
    }));
    all
}

/// Waits for all Pods, and starts a server in each that passes requests on.
fn serve(town: &Town, namespace: &str) -> anyhow::Result<Vec<Relay>> {
    let wanted = (PODS as usize) * VERSIONS.len();
    wait_for("the Pods", Instant::now(), || {
        let ready = CHAIN.iter().all(|name| town.pods(namespace, name).len() == wanted);
        Ok((ready && town.pods(namespace, "caller").len() == CALLERS).then_some(()))
    })?;
    let mut servers = Vec::new();
    for (number, name) in CHAIN.iter().enumerate() {
        let next = CHAIN.get(number + 1).map(|next| town.service(namespace, next)).transpose()?;
        for pod in town.pods(namespace, name) {
            servers.push(Relay::start(&pod, next)?);
        }
    }
    let addresses = CHAIN.iter().map(|name| Ok((town.service(namespace, name)?, wanted as u64)));
    let addresses: Vec<_> = addresses.collect::<anyhow::Result<_>>()?;
    town.until_backends(&addresses, Instant::now())?;
    Ok(servers)
}

/// Waits until both nodes route all three Services.
fn until_routed(town: &Town, namespace: &str) -> anyhow::Result<()> {
    let services: BTreeSet<String> = CHAIN
        .iter()
        .map(|name| Ok(town.service(namespace, name)?.to_string()))
        .collect::<anyhow::Result<_>>()?;
    wait_for("the routes on both nodes", Instant::now(), || {
        for member in &town.members {
            let rows = member.get("routes")?;
            let rows = rows.as_array().into_iter().flatten();
            let routed: BTreeSet<_> =
                rows.filter_map(|row| row["address"].as_str().map(str::to_owned)).collect();
            if !routed.is_superset(&services) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })?;
    Ok(())
}
