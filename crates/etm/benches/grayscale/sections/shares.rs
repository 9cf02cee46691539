//! A share of connections, and shares of callers: on one node, by a release written down by hand.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;
use etm_dataplane::View;
use etm_model::{CallerShare, FrontendKey, Listener, Protocol, hash};
use etm_testkit::{Agent, BpfDir, Cgroup, Manifests, Node, Pod, Server, objects};
use serde_json::{Value, json};

use crate::{
    caller::{Calling, How, Plan, Report},
    results::{Budget, Results},
};

const TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)), 80);
const POD_PORT: u16 = 8080;

const CONNECTIONS: u64 = 10_000;
const PERCENT: u32 = 5;

/// Which percentages of callers are looked at, one after the other.
const SHARES: [u32; 5] = [0, 5, 10, 50, 100];

const PATIENCE: Duration = Duration::from_secs(30);

/// After which a file that moves nobody was surely read.
const SETTLED: Duration = Duration::from_secs(1);

/// In the order of their end.
struct Stage {
    _agent: Agent,
    /// Of containers, by the names of the Pods.
    callers: Vec<(String, Cgroup)>,
    _pods: Vec<Cgroup>,
    _kubepods: Cgroup,
    cgroup: Cgroup,
    pins: BpfDir,
    manifests: Manifests,
    client: Pod,
    _servers: Vec<(Server, Pod)>,
    _node: Node,
}

pub(super) fn measure(callers: u32, results: &mut Results) -> anyhow::Result<()> {
    let stage = Stage::build(callers)?;
    of_connections(&stage, results)?;
    of_callers(&stage, results)
}

/// Connections of one process, each drawn by itself.
fn of_connections(stage: &Stage, results: &mut Results) -> anyhow::Result<()> {
    stage.lead(&json!({"weight": PERCENT}), true)?;
    let report = stage.call(How::Count(CONNECTIONS))?;
    let new = of_new(&report)?.len() as f64;
    let share = f64::from(PERCENT) / 100.0;
    let expected = CONNECTIONS as f64 * share;
    // The normal quantile of 99%, two-sided.
    let bound = (2.576 * (expected * (1.0 - share)).sqrt()).floor();
    let name = format!("{PERCENT}% of {CONNECTIONS} connections");
    results.tell(format!("{name}: to the new version"), new, "");
    let what = format!("{name}: off, at most the binomial 99% bound");
    results.judge(what, (new - expected).abs(), "", Budget::AtMost(bound));
    Ok(())
}

/// Each caller once at each share.
fn of_callers(stage: &Stage, results: &mut Results) -> anyhow::Result<()> {
    let salt = hash("default/two");
    let names: Vec<_> = stage.callers.iter().map(|(name, _)| name.as_str()).collect();
    let (mut differ, mut lost, mut before) = (0, 0, BTreeSet::new());
    let mut chosen = None;
    for percent in SHARES {
        let share = CallerShare { parts: percent * (CallerShare::WHOLE / 100), salt };
        let computed = names.iter().filter(|name| share.has(&format!("default/{name}")));
        let computed: BTreeSet<_> = computed.copied().collect();
        // Of few callers it may be the same ones.
        stage.lead(&json!({"percent": percent}), chosen.as_ref() != Some(&computed))?;
        let cgroups = stage.callers.iter().map(|(_, cgroup)| cgroup.path().to_owned()).collect();
        let report = stage.call(How::Cgroups(cgroups))?;
        ensure!(report.len() == stage.callers.len(), "{} callers", report.len());
        let new: BTreeSet<_> = of_new(&report)?.into_iter().map(|number| names[number]).collect();
        differ += computed.symmetric_difference(&new).count();
        lost += before.difference(&new).count();
        let what = format!("{percent}% of {} callers: at the new version", names.len());
        results.tell(what, new.len() as f64, "");
        (before, chosen) = (new, Some(computed));
    }
    let what = "percent of callers: at another version than is computed";
    results.judge(what, differ as f64, "", Budget::AtMost(0.0));
    let what = "percent of callers: at the new version no more when the share grows";
    results.judge(what, lost as f64, "", Budget::AtMost(0.0));
    Ok(())
}

/// The places in a report of those at the new version.
fn of_new(report: &Report) -> anyhow::Result<Vec<usize>> {
    let failed = report.iter().find_map(|request| request.served.as_ref().err());
    ensure!(failed.is_none(), "a connection failed: {failed:?}");
    let all = report.iter().enumerate();
    Ok(all.filter(|(_, one)| one.version() == Some("new")).map(|(number, _)| number).collect())
}

impl Stage {
    fn build(callers: u32) -> anyhow::Result<Self> {
        let (node, manifests) = (Node::new()?, Manifests::new()?);
        let (cgroup, pins) = (Cgroup::new()?, BpfDir::new()?);
        let service = objects::Service::new("web", &[TARGET.ip()])
            .port("http", "TCP", TARGET.port(), POD_PORT)
            .selector("app", "web");
        let mut all: Vec<Value> = vec![service.into()];
        let mut servers = Vec::new();
        for version in ["old", "new"] {
            let pod = node.pod(&format!("web-{version}-0"))?;
            let object = objects::Pod::of(&pod).label("app", "web").label("version", version);
            all.push(object.into());
            servers.push((pod.serve(&[POD_PORT], &[])?, pod));
        }
        let kubepods = cgroup.child("kubepods")?;
        let (mut named, mut pods) = (Vec::new(), Vec::new());
        for number in 0..callers {
            let (name, uid) =
                (format!("caller-{number}"), format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f"));
            let pod = kubepods.child(&format!("pod{uid}"))?;
            named.push((name.clone(), pod.child("container")?));
            pods.push(pod);
            let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 245, 0, 1).to_bits() + number);
            all.push(objects::Pod::new(&name, &[ip.into()]).set("metadata.uid", uid).into());
        }
        manifests.apply("all.yaml", &all)?;
        let agent = Agent::of_folder(&manifests, &cgroup, &pins)?.start()?;
        let client = node.pod("client")?;
        let stage = Self {
            _agent: agent,
            callers: named,
            _pods: pods,
            _kubepods: kubepods,
            cgroup,
            pins,
            manifests,
            client,
            _servers: servers,
            _node: node,
        };
        let view = stage.view()?;
        until("every caller is known", || {
            let known = view.callers()?;
            let known = known.iter().filter(|(cgroup, one)| **cgroup != 0 && !one.name.is_empty());
            Ok(known.count() == callers as usize)
        })?;
        Ok(stage)
    }

    fn view(&self) -> anyhow::Result<View> {
        Ok(View::open(&self.pins.path().join("etm"))?)
    }

    /// Has a release be at a step, and waits until the maps lead elsewhere by it, if it moves anybody.
    fn lead(&self, step: &Value, moves: bool) -> anyhow::Result<()> {
        let view = self.view()?;
        let listener = Listener::Port(TARGET.port(), Protocol::Tcp);
        let key = FrontendKey { ip: TARGET.ip(), listener };
        let before = view.frontend(&key);
        let version = |version: &str| json!({"labels": {"version": version}});
        let services = json!([{"service": "web", "stable": version("old"), "new": version("new")}]);
        let release = json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": "two", "namespace": "default"},
            "spec": {"services": services, "strategy": {"canary": {"steps": [step]}}},
            "status": {"traffic": "Step", "step": 0},
        });
        self.manifests.apply("release.yaml", &[release])?;
        if !moves {
            sleep(SETTLED);
            return Ok(());
        }
        until("the release leads elsewhere", || Ok(view.frontend(&key) != before))
    }

    fn call(&self, how: How) -> anyhow::Result<Report> {
        let plan = Plan { target: TARGET, how };
        let place = self.client.place().within(&self.cgroup);
        Calling::start(|program| place.command(program), &plan)?.wait()
    }
}

fn until(what: &str, mut is: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !is()? {
        ensure!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
    Ok(())
}
