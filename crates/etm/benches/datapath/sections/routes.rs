//! Time in the kernel program where a route says who gets what, above that of a hit where none does.

use std::net::Ipv4Addr;

use etm_dataplane::{Baseline, RunTimeStats};
use etm_testkit::objects;
use serde_json::{Value, json};

use super::{
    balancing::above,
    programs::{ALONE, Way, run},
};
use crate::{
    cluster::Cluster,
    results::{Budget, Results},
    stage::{Covered, Stage},
};

/// Routes, and callers on the node that a rule tells from others.
const SIZES: [(usize, u32); 2] = [(1, 1), (500, 250)];
/// Routes that are called; the others are there.
const CALLED: [&str; 2] = ["chosen", "divided"];

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = SIZES.map(|(routes, callers)| cover(routes, callers));
    let [few, many] = covered;
    let (few, many) = (few?, many?);
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;
    let way = |covered, name: &str| -> anyhow::Result<Way<'_>> {
        Ok(Way { lane: stage.called_from_pod(covered, name)?, covered: Some(covered) })
    };
    // Each is held against the plain hit of its own agent: another one's maps lie elsewhere in memory.
    let mut ways = Vec::new();
    for covered in [&few, &many] {
        ways.push(way(covered, "plain")?);
        for name in CALLED {
            ways.push(way(covered, name)?);
        }
    }
    let costs = run(stage, &ways, &empty, rounds, ALONE)?;
    for (size, (routes, callers)) in SIZES.into_iter().enumerate() {
        let plain = size * (1 + CALLED.len());
        for (number, name) in CALLED.into_iter().enumerate() {
            let what = format!(
                "connect4 above a plain hit, {name} by a route, {routes} routes and {callers} callers"
            );
            results.judge(
                &what,
                above(&costs, plain + 1 + number, plain),
                "ns",
                Budget::AtMost(60.0),
            );
        }
    }
    Ok(())
}

/// Services with a route each, callers on the node, and a Service without a route.
fn cover(routes: usize, callers: u32) -> anyhow::Result<Covered> {
    let others: Vec<_> = (0..routes.saturating_sub(1)).map(|n| format!("other-{n}")).collect();
    let names = others.iter().map(String::as_str).chain(["plain", "new"]).chain(CALLED);
    // Other members than the rest have: what gives every caller the same is no route to the kernel.
    let services: Vec<_> = names.map(|name| (name, if name == "new" { 2 } else { 3 })).collect();
    let mut objects: Vec<Value> = (0..callers).map(caller).collect();
    let chosen = json!([
        {"from": [{"podSelector": {"matchLabels": {"track": "canary"}}}], "to": [to("new", 1)]},
    ]);
    objects.extend(others.iter().map(|name| route(name, &chosen)));
    // The client is in the default namespace, and the others in none of theirs.
    objects.push(route(
        "chosen",
        &json!([
            {"from": [{"podSelector": {"matchLabels": {"track": "canary"}}}], "to": [to("new", 1)]},
            {"from": [{"namespaces": ["default"]}], "to": [to("new", 1)]},
        ]),
    ));
    objects.push(route("divided", &json!([{"to": [to("divided", 95), to("new", 5)]}])));
    Stage::balanced(Cluster::named(&services), &objects)
}

fn to(service: &str, weight: u32) -> Value {
    json!({"service": {"name": service}, "weight": weight})
}

fn route(service: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficRoute",
        "metadata": {"name": service, "namespace": "default"},
        "spec": {"targetRef": {"name": service}, "rules": rules},
    })
}

fn caller(number: u32) -> Value {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 201, 0, 1).to_bits() + number);
    objects::Pod::new(&format!("canary-{number}"), &[ip.into()])
        .namespace("callers")
        .label("track", "canary")
        .set("metadata.uid", format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f"))
        .into()
}
