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
    statistics::quantile,
};

/// Routes, and callers on the node that a rule tells from others.
const SIZES: [(usize, u32); 2] = [(1, 1), (500, 250)];
/// The Service without a route.
const PLAIN: &str = "plain";
/// Routes that are called; the others are there.
const CALLED: [&str; 2] = ["chosen", "divided"];

/// Agents of each size. Where an agent's maps and programs lie in memory is chance, and moves a figure
/// by more than a run can tell apart.
const AGENTS: usize = 5;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let agents = SIZES.iter().flat_map(|size| [size; AGENTS]);
    let agents = agents.map(|(routes, callers)| cover(*routes, *callers));
    let agents = agents.collect::<anyhow::Result<Vec<_>>>()?;
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;
    let ways = agents.iter().flat_map(|covered| {
        let names = [PLAIN].into_iter().chain(CALLED);
        names.map(move |name| {
            Ok(Way { lane: stage.called_from_pod(covered, name)?, covered: Some(covered) })
        })
    });
    let ways = ways.collect::<anyhow::Result<Vec<_>>>()?;
    let costs = run(stage, &ways, &empty, rounds, ALONE)?;
    let sizes = costs.chunks(AGENTS * (1 + CALLED.len()));
    for ((routes, callers), agents) in SIZES.iter().zip(sizes) {
        for (number, name) in (1..).zip(CALLED) {
            // Each is held against the plain hit of its own agent.
            let above = agents.chunks(1 + CALLED.len()).map(|costs| above(costs, number, 0));
            let above: Vec<f64> = above.collect();
            let of_agents = |share| quantile(above.iter().copied(), share);
            let what = format!(
                "connect4 above a plain hit, {name} by a route, {routes} routes and {callers} callers"
            );
            results.judge(&what, of_agents(0.5), "ns", Budget::AtMost(60.0));
            for (share, which) in [(0.0, "least"), (1.0, "most")] {
                let what = format!("{what}, {which} of {AGENTS} agents");
                results.tell(what, of_agents(share), "ns");
            }
        }
    }
    Ok(())
}

/// Services with a route each, callers on the node, and a Service without a route.
fn cover(routes: usize, callers: u32) -> anyhow::Result<Covered> {
    let others: Vec<_> = (0..routes.saturating_sub(1)).map(|n| format!("other-{n}")).collect();
    let names = others.iter().map(String::as_str).chain([PLAIN, "new"]).chain(CALLED);
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
