//! A blue-green release: a preview for testers, then one flip for everyone on every node.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use etm_testkit::binary;
use serde_json::{Value, json};

use super::{SPAN, Scene};
use crate::{
    interrupt,
    report::Report,
    screen::{self, time},
    stage::{Stage, output, wait_for},
    stream::{Sample, Stream},
    town::{Town, deployment, release, service},
};

pub(crate) const SCENE: Scene = Scene {
    name: "blue-green",
    title: "Blue-green: one flip on every node",
    about: "Green comes beside blue. Testers reach it first; then `etm release promote` switches all\n\
            callers on two nodes at once, while they connect all the time, and `undo` leads them back.",
    play,
};

const PODS: u32 = 3;
const NODES: [&str; 2] = ["east", "west"];

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let town = stage.town()?;
    let namespace = town.cluster.namespace()?;
    town.apply(&namespace, &objects())?;
    let shop = town.service(&namespace, "shop")?;
    town.until_backends(&[(shop, PODS.into())], Instant::now())?;
    let callers = wait_for("the callers", Instant::now(), || {
        let callers = town.pods(&namespace, "caller");
        Ok((callers.len() == NODES.len() + 1).then_some(callers))
    })?;
    let find = |name: &str| {
        let found = callers.0.iter().find(|pod| pod.name == name);
        town.caller(found.with_context(|| format!("{name} does not run"))?)
    };
    let services = json!([{
        "service": "shop", "stable": {"service": "shop-blue"}, "new": {"service": "shop-green"},
    }]);
    let strategy = json!({"blueGreen": {
        "preview": [{"podSelector": {"matchLabels": {"tester": "yes"}}}], "pause": {}, "hold": "10m",
    }});
    town.apply(&namespace, &[release("green", &services, &strategy, &Value::Null)])?;
    let named = (namespace.as_str(), "green");
    town.until_phase(named, "Paused", Instant::now())?;

    let tester = find("caller-tester")?;
    wait_for("the preview", Instant::now(), || Ok(is_green(&tester.call(shop)?).then_some(())))?;
    let preview = tester.calls(shop, 50)?.iter().all(is_green);
    let streams: Vec<_> = NODES
        .iter()
        .map(|node| Stream::start(find(&format!("caller-{node}"))?.session(shop)?))
        .collect::<anyhow::Result<_>>()?;
    interrupt::sleep(SPAN)?;
    let promoted = Instant::now();
    command(town, "promote", &namespace)?;
    let answered = promoted.elapsed();
    interrupt::sleep(SPAN)?;
    let undone = Instant::now();
    command(town, "undo", &namespace)?;
    interrupt::sleep(SPAN)?;
    let flips = streams.into_iter().map(|stream| Flip::of(&stream.finish()?, promoted, undone));
    let flips: Vec<Flip> = flips.collect::<anyhow::Result<_>>()?;

    let rows = NODES.iter().zip(&flips).map(|(node, flip)| flip.row(node)).collect();
    screen::table(
        &[
            "NODE",
            "CONNECTIONS",
            "FAILED",
            "MIXED",
            "LAST BLUE AFTER PROMOTE",
            "LAST GREEN AFTER UNDO",
        ],
        rows,
        &[1, 2, 3, 4, 5],
    );
    screen::fact("`etm release promote` returned after", time(answered));
    println!();
    let sum = |of: fn(&Flip) -> usize| flips.iter().map(of).sum::<usize>();
    let (connections, failed, mixed) =
        (sum(|flip| flip.connections), sum(|flip| flip.failed), sum(|flip| flip.mixed));
    report.check(preview, "the tester's 50 connections reached green before the switch");
    report.check(flips.iter().all(|flip| flip.early == 0), "and nobody else's did");
    report.check(failed == 0, format_args!("{connections} connections, {failed} failed"));
    report.check(
        mixed == 0,
        format_args!(
            "{mixed} reached blue after green on their node, or green again after the undo"
        ),
    );
    let latest = flips.iter().map(|flip| flip.last_blue).max().unwrap_or_default();
    report.key(format!(
        "both nodes switched within {}, {failed} failed, {mixed} mixed",
        time(latest)
    ));
    town.cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"])?;
    Ok(())
}

/// What a caller on a node saw of the switch and of the way back.
struct Flip {
    connections: usize,
    failed: usize,
    /// To green before the switch was asked for.
    early: usize,
    /// To blue after green, or to green after it was blue again.
    mixed: usize,
    last_blue: Duration,
    last_green: Duration,
}

impl Flip {
    fn of(samples: &[Sample], promoted: Instant, undone: Instant) -> anyhow::Result<Self> {
        let green = |sample: &&Sample| is_green(&sample.call);
        let first = samples.iter().find(green).context("nobody reached green")?;
        let last = samples.iter().rfind(green).context("nobody reached green")?;
        let back = samples.iter().find(|sample| !green(sample) && sample.started > undone);
        let back = back.context("nobody came back to blue")?;
        let between =
            |sample: &&Sample| sample.started > first.ended && sample.ended < back.started;
        let blue = samples.iter().rfind(|sample| !green(sample) && sample.started < first.started);
        let after = samples.iter().filter(|sample| sample.started > back.ended);
        Ok(Self {
            connections: samples.len(),
            failed: samples.iter().filter(|sample| !sample.call.answered()).count(),
            early: samples.iter().filter(|s| green(s) && s.ended < promoted).count(),
            mixed: samples.iter().filter(between).filter(|sample| !green(sample)).count()
                + after.filter(green).count(),
            last_blue: blue
                .map_or(promoted, |sample| sample.ended)
                .saturating_duration_since(promoted),
            last_green: last.ended.saturating_duration_since(undone),
        })
    }

    fn row(&self, node: &str) -> Vec<String> {
        vec![
            node.to_owned(),
            self.connections.to_string(),
            self.failed.to_string(),
            self.mixed.to_string(),
            time(self.last_blue),
            time(self.last_green),
        ]
    }
}

fn is_green(call: &etm_testkit::Call) -> bool {
    call.pod().is_some_and(|pod| pod.starts_with("shop-green-"))
}

/// `etm release VERB`, as whoever looks after the release gives it.
fn command(town: &Town, verb: &str, namespace: &str) -> anyhow::Result<()> {
    let mut command = Command::new(binary("etm")?);
    command.args(["release", verb, &format!("{namespace}/green"), "--kubeconfig"]);
    command.arg(town.cluster.kubeconfig());
    output(command).map(drop)
}

fn objects() -> Vec<Value> {
    let labels = |version: &str| json!({"app": "shop", "version": version});
    let mut all = vec![service("shop", &labels("blue"))];
    for version in ["blue", "green"] {
        let name = format!("shop-{version}");
        all.push(service(&name, &labels(version)));
        all.push(deployment(&name, &labels(version), PODS, true));
    }
    all.extend([("east", "east", "no"), ("west", "west", "no"), ("tester", "east", "yes")].map(
        |(name, node, tester)| {
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": format!("caller-{name}"), "labels": {"tester": tester}},
                "spec": {
                    "nodeName": node,
                    "containers": [{"name": "main", "image": "example.org/caller"}],
                },
            })
        },
    ));
    all
}
