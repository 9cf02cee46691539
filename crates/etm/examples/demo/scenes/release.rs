//! A release by steps that its analysis lets go on, and one of a bad version, which goes back.

use std::time::Instant;

use anyhow::Context as _;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{SPAN, Scene};
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, percent},
    stage::{Stage, wait_for},
    stream::{Sample, Stream, between},
    town::{deployment, release, service},
};

pub(crate) const SCENE: Scene = Scene {
    name: "release",
    title: "A release to 100%, and one that goes back",
    about: "Service web is released from version 1 to 2: to 5% of connections, to half, to all, each step\n\
            once the kernels' own counts have shown that it works. Then to 3, which refuses connections.",
    play,
};

const PODS: u32 = 2;
const STEPS: [u32; 2] = [5, 50];

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let town = stage.town()?;
    let namespace = town.cluster.namespace()?;
    town.apply(&namespace, &objects())?;
    let web = town.service(&namespace, "web")?;
    let names = ["web", "web-v1", "web-v2", "web-v3"];
    let services = names.map(|name| Ok((town.service(&namespace, name)?, PODS.into())));
    let services: Vec<_> = services.into_iter().collect::<anyhow::Result<_>>()?;
    town.until_backends(&services, Instant::now())?;
    let (callers, _) = wait_for("the callers", Instant::now(), || {
        let callers = town.pods(&namespace, "caller");
        Ok((callers.len() == 2).then_some(callers))
    })?;
    let streams = || -> anyhow::Result<Vec<Stream>> {
        callers.iter().map(|pod| Stream::start(town.caller(pod)?.session(web)?)).collect()
    };

    let good = streams()?;
    let mut spans = vec![("version 1".to_owned(), Instant::now())];
    interrupt::sleep(SPAN)?;
    town.apply(&namespace, &[web_release("web-2", "1", "2", 100)])?;
    for step in 0..=STEPS.len() {
        let ((), _) = wait_for(&format!("step {step}"), Instant::now(), || {
            let status = town.release(&namespace, "web-2")?;
            anyhow::ensure!(status["phase"] != "RolledBack", "it went back: {}", status["message"]);
            let is = status["step"].as_u64() == u64::try_from(step).ok();
            Ok(is.then_some(()))
        })?;
        let share = STEPS.get(step).map_or(100, |share| *share);
        spans.push((format!("{share}% of connections"), Instant::now()));
    }
    town.until_phase((&namespace, "web-2"), "Completed", Instant::now())?;
    interrupt::sleep(SPAN)?;
    let samples = finish(good)?;
    let counts = count(&samples, &spans, "web-2-");
    let failed = samples.iter().filter(|sample| !sample.call.answered()).count();
    screen::table(
        &["RELEASE OF VERSION 2", "CONNECTIONS", "VERSION 2", "SHARE", "FAILED"],
        counts.iter().map(Count::row).collect(),
        &[1, 2, 3, 4],
    );
    let shares: Vec<f64> = counts.iter().map(Count::share).collect();
    report.check(
        shares.windows(2).all(|pair| pair[0] < pair[1]) && shares.last() > Some(&99.0),
        format_args!("each step gave it more, {failed} of {} connections failed", samples.len()),
    );
    report.check(failed == 0, "nobody was harmed by the good one");

    let moved = json!({"app": "web", "version": "2"});
    town.apply(&namespace, &[service("web", &moved)])?;
    town.cluster.kubectl(&["delete", "release", "web-2", "-n", &namespace])?;
    let bad = streams()?;
    interrupt::sleep(SPAN)?;
    town.apply(&namespace, &[web_release("web-3", "2", "3", 20)])?;
    let (status, _) = wait_for("the roll-back", Instant::now(), || {
        let status = town.release(&namespace, "web-3")?;
        Ok((status["phase"] == "RolledBack").then_some(status))
    })?;
    let back = Instant::now();
    interrupt::sleep(SPAN)?;
    let samples = finish(bad)?;
    let harmed = samples.iter().filter(|sample| !sample.call.answered()).count();
    let after = samples.iter().filter(|sample| sample.started > back + SPAN / 4);
    let after = after.filter(|sample| !sample.call.answered()).count();
    let took = from_begin_to_end(&status)?;
    fact("version 3, from its first step to the roll-back", format_args!("{took:.1} s"));
    fact("connections meanwhile and around it", samples.len());
    fact("of which failed", harmed);
    fact("the release says", status["message"].as_str().unwrap_or_default());
    println!();
    report.check(
        status["message"].as_str().is_some_and(|text| text.starts_with("AnalysisFailed")),
        "the release found it by itself, and led everyone back",
    );
    report.check(harmed > 0 && after == 0, format_args!("{after} failed after that"));
    report.key(format!(
        "{:.1}% -> {:.0}% -> 100%, {failed} failed; bad: back in {took:.1} s, {harmed} of {} harmed",
        shares[1],
        shares[2],
        samples.len()
    ));
    town.cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"])?;
    Ok(())
}

/// Connections of a span of time.
struct Count {
    what: String,
    all: usize,
    new: usize,
    failed: usize,
}

impl Count {
    fn share(&self) -> f64 {
        percent(self.new, self.all)
    }

    fn row(&self) -> Vec<String> {
        let Self { what, all, new, failed } = self;
        let share = format!("{:.1}%", self.share());
        vec![what.clone(), all.to_string(), new.to_string(), share, failed.to_string()]
    }
}

fn count(samples: &[Sample], spans: &[(String, Instant)], new: &str) -> Vec<Count> {
    let end = Instant::now();
    let ends = spans.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let counts = spans.iter().zip(ends).map(|((what, from), to)| {
        let calls = between(samples, *from, to);
        let of_new = calls.iter().filter(|call| call.pod().is_some_and(|pod| pod.starts_with(new)));
        Count {
            what: what.clone(),
            all: calls.len(),
            new: of_new.count(),
            failed: calls.iter().filter(|call| !call.answered()).count(),
        }
    });
    counts.collect()
}

fn finish(streams: Vec<Stream>) -> anyhow::Result<Vec<Sample>> {
    let samples = streams.into_iter().map(Stream::finish);
    let samples: Vec<Vec<Sample>> = samples.collect::<anyhow::Result<_>>()?;
    Ok(samples.into_iter().flatten().collect())
}

/// Seconds between the first and the last event of a release, by the controller's clock.
fn from_begin_to_end(status: &Value) -> anyhow::Result<f64> {
    let times = status["history"].as_array().into_iter().flatten().map(|event| {
        let time = event["time"].as_str().context("an event has a time")?;
        Ok(time.parse::<Timestamp>()?)
    });
    let times: Vec<Timestamp> = times.collect::<anyhow::Result<_>>()?;
    let first = times.first().context("the release has a history")?;
    let last = times.last().context("the release has a history")?;
    Ok(last.duration_since(*first).as_secs_f64())
}

fn web_release(name: &str, stable: &str, new: &str, minimum: u32) -> Value {
    let services = json!([{
        "service": "web",
        "stable": {"service": format!("web-v{stable}")},
        "new": {"service": format!("web-v{new}")},
    }]);
    let steps = STEPS.map(|share| json!({"weight": share, "pause": {"duration": "1s"}}));
    let canary = json!({"canary": {"steps": steps, "hold": "1s"}});
    let analysis = json!({
        "interval": "200ms", "connections": {"successShare": "90", "minimum": minimum},
    });
    release(name, &services, &canary, &analysis)
}

fn objects() -> Vec<Value> {
    let labels = |version: &str| json!({"app": "web", "version": version});
    let mut all = vec![service("web", &labels("1"))];
    for version in ["1", "2", "3"] {
        all.push(service(&format!("web-v{version}"), &labels(version)));
        let name = format!("web-{version}");
        all.push(deployment(&name, &labels(version), PODS, version != "3"));
    }
    all.extend(["east", "west"].map(|node| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": format!("caller-{node}")},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "main", "image": "example.org/caller"}],
            },
        })
    }));
    all
}
