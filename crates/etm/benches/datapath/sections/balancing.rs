//! Time in the kernel program where members are not chosen evenly at random, above that of a hit
//! where they are.

use etm_dataplane::{Baseline, RunTimeStats};
use etm_testkit::objects::{TrafficPolicy, consistent_hash};
use serde_json::{Value, json};

use super::programs::{Costs, Way, run};
use crate::{
    cluster::Cluster,
    results::{Budget, Results},
    stage::Stage,
    statistics::median,
};

/// What is compared with the first of them, and how the members are chosen there.
fn services() -> Vec<(&'static str, usize, Value)> {
    let by_pod = consistent_hash(&["callerPod"]);
    let mut weighted = by_pod.clone();
    weighted["weights"] = json!({"services": [{"name": "heavy", "weight": 5}]});
    vec![
        ("random", 10, Value::Null),
        ("hash-3", 3, by_pod.clone()),
        ("hash-8", 8, by_pod.clone()),
        ("hash-10", 10, by_pod.clone()),
        ("hash-32", 32, by_pod.clone()),
        ("hash-100", 100, by_pod.clone()),
        ("hash-1000", 1_000, by_pod),
        ("hash-address", 10, consistent_hash(&["callerAddress"])),
        ("hash-weighted-8", 8, weighted.clone()),
        ("hash-weighted-1000", 1_000, weighted),
        ("least-connections", 10, json!({"algorithm": "LeastConnections"})),
        // The first four endpoints of the others are this one's.
        ("heavy", 4, Value::Null),
    ]
}

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let services = services();
    let named: Vec<_> = services.iter().map(|(name, count, _)| (*name, *count)).collect();
    let policies = services.iter().filter(|(_, _, balancing)| !balancing.is_null());
    let policies: Vec<Value> =
        policies.map(|(name, _, how)| TrafficPolicy::new(name, how.clone()).into()).collect();
    let covered = Stage::balanced(Cluster::named(&named), &policies)?;
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;
    let called = &named[..named.len() - 1];
    let ways: Vec<Way<'_>> = called
        .iter()
        .map(|(name, _)| {
            Ok(Way { lane: stage.called_from_pod(&covered, name)?, covered: Some(&covered) })
        })
        .collect::<anyhow::Result<_>>()?;
    let costs = run(stage, &ways, &empty, rounds, 20_000)?;
    for (way, (name, _)) in called.iter().enumerate().skip(1) {
        let what = format!("connect4 above a random hit, {name}");
        let above = above(&costs, way);
        if name.starts_with("hash") {
            results.judge(&what, above, "ns", Budget::AtMost(60.0));
        } else {
            results.tell(&what, above, "ns");
        }
    }
    Ok(())
}

/// Median over the rounds of a way's cost above that of the first.
fn above(costs: &[Costs], way: usize) -> f64 {
    let (way, random) = (&costs[way].connect, &costs[0].connect);
    median(way.iter().zip(random).map(|(way, random)| way - random))
}
