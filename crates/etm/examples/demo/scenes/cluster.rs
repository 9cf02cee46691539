//! A real control plane, two nodes, and a Deployment that is scaled and updated under load.

use std::time::Instant;

use anyhow::Context as _;
use etm_testkit::{Caller, Protocol};
use serde_json::{Value, json};

use super::{SPAN, Scene};
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, time},
    stage::Stage,
    stream::{Stream, between, by_pod},
    town::{PORT, Town},
};

pub(crate) const SCENE: Scene = Scene {
    name: "cluster",
    title: "A real Kubernetes, scaled and updated under load",
    about: "etcd, kube-apiserver, kube-controller-manager and kube-scheduler, and two nodes with an\n\
            agent each. A client connects to a Deployment's Service all the time, while that is\n\
            scaled, updated, and left without an API server.",
    play,
};

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let town = stage.town()?;
    let Town { cluster, members, .. } = town;
    let namespace = cluster.namespace()?;
    cluster.api().apply(&namespace, &[client(members[0].name())])?;

    let applied = Instant::now();
    cluster.api().apply(&namespace, &[service(), deployment(4, "1")])?;
    let address = town.service(&namespace, "web")?;
    let served = town.until_backends(&[(address, 4)], applied)?;
    fact("from apply to four Pods on both nodes", time(served));
    let pod = members[0].node().pod(&namespace, "client")?;
    let container = pod.container("main").context("the client does not run")?;
    let session = Caller::new(&container.place, Protocol::Tcp).session(address)?;
    let stream = Stream::start(session)?;
    let mut spans = vec![("four Pods", Instant::now())];
    interrupt::sleep(SPAN)?;

    spans.push(("scaled to two", Instant::now()));
    cluster.api().apply(&namespace, &[deployment(2, "1")])?;
    town.until_backends(&[(address, 2)], Instant::now())?;
    interrupt::sleep(SPAN)?;

    spans.push(("updated, one Pod after the other", Instant::now()));
    cluster.api().apply(&namespace, &[deployment(2, "2")])?;
    let rollout = ["-n", &namespace, "rollout", "status", "deployment/web", "--timeout=60s"];
    cluster.kubectl(&rollout)?;
    interrupt::sleep(SPAN)?;

    spans.push(("no API server", Instant::now()));
    cluster.stop_api_server()?;
    interrupt::sleep(SPAN)?;
    let samples = stream.finish()?;
    let end = Instant::now();
    cluster.start_api_server()?;

    let ends = spans.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let rows = spans.iter().zip(ends).map(|((name, from), to)| {
        let calls = between(&samples, *from, to);
        let failed = calls.iter().filter(|call| !call.answered()).count();
        let pods = by_pod(calls.iter().copied()).len();
        vec![(*name).to_owned(), calls.len().to_string(), failed.to_string(), pods.to_string()]
    });
    screen::table(&["WHILE", "CONNECTIONS", "FAILED", "PODS"], rows.collect(), &[1, 2, 3]);
    let failed = samples.iter().filter(|sample| !sample.call.answered()).count();
    report.check(failed == 0, format_args!("{} connections, {failed} failed", samples.len()));
    let pods = by_pod(samples.iter().map(|sample| &sample.call)).len();
    report.check(pods >= 6, format_args!("{pods} Pods answered, four old ones and two new ones"));
    report.key(format!("{} connections, {failed} failed", samples.len()));
    Ok(())
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": PORT, "targetPort": "http"}]},
    })
}

fn deployment(replicas: u32, version: &str) -> Value {
    let mut container = container(8080);
    // Until every node has heard that the Pod goes.
    container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "version": version}},
                "spec": {"containers": [container]},
            },
        },
    })
}

fn client(node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {"nodeName": node, "containers": [container(9000)]},
    })
}

fn container(port: u16) -> Value {
    json!({
        "name": "main",
        "image": "example.org/web",
        "ports": [{"name": "http", "containerPort": port}],
    })
}
