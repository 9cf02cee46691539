//! Time in the kernel program where a route says who gets what, above that of a hit where none does.

use std::net::Ipv4Addr;

use etm_dataplane::{Baseline, RunTimeStats};
use etm_testkit::objects;
use serde_json::{Value, json};

use super::{
    balancing::above,
    programs::{ALONE, Costs, Way, run, typical},
};
use crate::{
    cluster::Cluster,
    covered::Covered,
    results::{Budget, Results},
    stage::Stage,
    statistics::{median, quantile},
};

/// Routes, and callers on the node, the client among them.
const SIZES: [(usize, u32); 2] = [(2, 1), (500, 250)];

/// The Service without a route.
const PLAIN: &str = "plain";
/// Routes that are called, and what they do to a connection; the others are there.
const CALLED: [(&str, &str); 2] =
    [("chosen", "chosen by a route"), ("divided", "divided by a route")];
/// Ways of each agent: the plain hit, and those by a route.
const WAYS: usize = 1 + CALLED.len();

/// Agents of each size. Where an agent's maps and programs lie in memory is chance, and moves a figure
/// by more than a run can tell apart.
const AGENTS: usize = 5;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    // Those of both sizes are started in turns, so that neither has the better memory.
    let sizes = SIZES.repeat(AGENTS);
    let agents = sizes.iter().map(|(routes, callers)| cover(*routes, *callers));
    let agents = agents.collect::<anyhow::Result<Vec<_>>>()?;
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;
    let mut ways = Vec::new();
    for covered in &agents {
        for name in [PLAIN].into_iter().chain(CALLED.map(|(name, _)| name)) {
            let lane = stage.called_from_pod(covered, name)?;
            ways.push(Way { lane, covered: Some(covered) });
        }
    }
    let costs = run(stage, &ways, &empty, rounds, ALONE)?;
    let of_size = |size| -> Vec<_> { costs.chunks(WAYS).skip(size).step_by(SIZES.len()).collect() };
    let [few, many] = [of_size(0), of_size(1)];
    for (way, (_, done)) in (1..).zip(CALLED) {
        for (agents, (routes, callers)) in [&few, &many].into_iter().zip(SIZES) {
            let what = format!("{done}, {routes} routes and {callers} callers");
            tell(agents, way, &what, results);
        }
        let [(few_routes, few_callers), (many_routes, many_callers)] = SIZES;
        let what = format!(
            "connect4, {done}, at {many_routes} routes and {many_callers} callers / at \
             {few_routes} and {few_callers}"
        );
        let flat = whole(&many, way) / whole(&few, way);
        results.judge(what, flat, "ratio", Budget::AtMost(1.15));
    }
    Ok(())
}

/// What a way costs above the plain hit of the same agent, over some agents.
fn tell(agents: &[&[Costs]], way: usize, what: &str, results: &mut Results) {
    let above = || agents.iter().map(|costs| above(costs, way, 0));
    let what = format!("connect4 above a plain hit, {what}");
    results.judge(&what, median(above()), "ns", Budget::AtMost(60.0));
    for (share, which) in [(0.0, "least"), (1.0, "most")] {
        let what = format!("{what}, {which} of {AGENTS} agents");
        results.tell(what, quantile(above(), share), "ns");
    }
}

/// What a way costs as a whole, over some agents.
fn whole(agents: &[&[Costs]], way: usize) -> f64 {
    median(agents.iter().map(|costs| typical(&costs[way].connect)))
}

/// Services with a route each, callers on the node, all but the client canaries, and a Service without
/// a route.
fn cover(routes: usize, callers: u32) -> anyhow::Result<Covered> {
    let others: Vec<_> = (CALLED.len()..routes).map(|number| format!("other-{number}")).collect();
    let called = CALLED.map(|(name, _)| name);
    let names = others.iter().map(String::as_str).chain([PLAIN, "new"]).chain(called);
    // Other members than the rest have: what gives every caller the same is no route to the kernel.
    let services: Vec<_> = names.map(|name| (name, if name == "new" { 2 } else { 3 })).collect();
    let mut objects: Vec<Value> = (1..callers).map(canary).collect();
    let canaries = json!({
        "from": [{"podSelector": {"matchLabels": {"track": "canary"}}}], "to": [to("new", 1)],
    });
    let chosen = json!([canaries]);
    objects.extend(others.iter().map(|name| route(name, &chosen)));
    // The client is in the default namespace, and the others in one of their own.
    let client = json!({"from": [{"namespaces": ["default"]}], "to": [to("new", 1)]});
    objects.push(route("chosen", &json!([canaries, client])));
    objects.push(route("divided", &json!([{"to": [to("divided", 95), to("new", 5)]}])));
    Covered::with_pods(Cluster::named(&services), objects)
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

fn canary(number: u32) -> Value {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 201, 0, 1).to_bits() + number);
    objects::Pod::new(&format!("canary-{number}"), &[ip.into()])
        .namespace("callers")
        .label("track", "canary")
        .set("metadata.uid", format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f"))
        .into()
}
