//! A chain of three Services in one release: a request stays with the version that it has reached first.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    thread,
    time::Instant,
};

use anyhow::{Context as _, anyhow};
use etm_testkit::{Call, Caller, HollowPod};
use serde_json::{Value, json};

use super::Scene;
use crate::{
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
    let front = serve(town, &namespace)?;
    let callers = town.pods(&namespace, "caller");

    let mut rows = Vec::new();
    let before = Walked::of(&walks(town, &callers, front)?);
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
    let ways = walks(town, &callers, front)?;
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
        ways.iter().all(|way| way.iter().all(|found| found == version))
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

/// The versions that a request has passed, in order.
type Way = Vec<String>;

/// The ways of so many requests of each Pod, all Pods at once.
fn walks(
    town: &Town,
    callers: &[HollowPod],
    front: SocketAddr,
) -> anyhow::Result<BTreeMap<String, Vec<Way>>> {
    thread::scope(|scope| {
        let walks: Vec<_> = callers
            .iter()
            .map(|pod| Ok((pod, town.caller(pod)?)))
            .map(|of| of.map(|(pod, caller)| (pod, scope.spawn(move || walk(&caller, front)))))
            .collect::<anyhow::Result<_>>()?;
        let ways = walks.into_iter().map(|(pod, walk)| {
            let ways = walk.join().map_err(|_| anyhow!("a caller panicked"))?;
            Ok((pod.name.clone(), ways.with_context(|| format!("calls of Pod {}", pod.name))?))
        });
        ways.collect()
    })
}

fn walk(caller: &Caller, front: SocketAddr) -> anyhow::Result<Vec<Way>> {
    caller.calls(front, REQUESTS)?.iter().map(way).collect()
}

/// Of Pod `front-1-...` it is 1.
fn way(call: &Call) -> anyhow::Result<Way> {
    let answer = call.answer.as_ref().with_context(|| format!("no answer: {:?}", call.error))?;
    let versions = answer.chain().into_iter().filter_map(|pod| pod.split('-').nth(1));
    Ok(versions.map(str::to_owned).collect())
}

/// What became of requests.
struct Walked {
    sent: usize,
    old: usize,
    new: usize,
    crossed: usize,
}

impl Walked {
    fn of(ways: &BTreeMap<String, Vec<Way>>) -> Self {
        let ways = || ways.values().flatten();
        let all = |version: &str| {
            let whole =
                |way: &&Way| way.len() == CHAIN.len() && way.iter().all(|found| found == version);
            ways().filter(whole).count()
        };
        let (sent, old, new) = (ways().count(), all("1"), all("2"));
        // Whatever is not whole counts as crossed.
        Self { sent, old, new, crossed: sent - old - new }
    }

    fn row(&self, what: &str) -> Vec<String> {
        let counts = [self.sent, self.old, self.new, self.crossed];
        std::iter::once(what.to_owned()).chain(counts.map(|count| count.to_string())).collect()
    }
}

fn caller(number: usize) -> String {
    format!("caller-{number}")
}

/// Makes the Services, their Pods, each of which asks the next Service in turn, and the callers;
/// waits for them and gives the first Service's address.
fn serve(town: &Town, namespace: &str) -> anyhow::Result<SocketAddr> {
    town.apply(namespace, &services())?;
    let addresses = CHAIN.iter().map(|name| town.service(namespace, name));
    let addresses = addresses.collect::<anyhow::Result<Vec<_>>>()?;
    for (number, name) in CHAIN.iter().enumerate() {
        town.apply(namespace, &servers(name, addresses.get(number + 1)))?;
    }
    town.apply(namespace, &callers())?;
    let wanted = (PODS as usize) * VERSIONS.len();
    wait_for("the callers", Instant::now(), || {
        Ok((town.pods(namespace, "caller").len() == CALLERS).then_some(()))
    })?;
    let backends: Vec<_> = addresses.iter().map(|address| (*address, wanted as u64)).collect();
    town.until_backends(&backends, Instant::now())?;
    addresses.first().copied().context("there is no Service")
}

fn services() -> Vec<Value> {
    let mut all = Vec::new();
    for name in CHAIN {
        all.push(service(name, &json!({"app": name})));
        for version in VERSIONS {
            let labels = json!({"app": name, "version": version});
            all.push(service(&format!("{name}-{version}"), &labels));
        }
    }
    all
}

/// The Pods of both versions of a Service.
fn servers(name: &str, next: Option<&SocketAddr>) -> [Value; 2] {
    VERSIONS.map(|version| {
        let labels = json!({"app": name, "version": version});
        let mut servers = deployment(&format!("{name}-{version}"), &labels, PODS, true);
        if let Some(next) = next {
            let container = &mut servers["spec"]["template"]["spec"]["containers"][0];
            container["env"] = json!([{"name": "RELAY", "value": next.to_string()}]);
        }
        servers
    })
}

fn callers() -> Vec<Value> {
    let callers = (0..CALLERS).map(|number| {
        let half = if number % 2 == 0 { "one" } else { "other" };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": caller(number), "labels": {"half": half}},
            "spec": {"containers": [{"name": "main", "image": "example.org/caller"}]},
        })
    });
    callers.collect()
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
