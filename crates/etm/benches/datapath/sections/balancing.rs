//! Time in the kernel program where members are not chosen evenly at random, above that of a hit
//! where they are.

use etm_dataplane::{Baseline, RunTimeStats};
use etm_testkit::objects::{TrafficPolicy, consistent_hash};
use serde_json::{Value, json};

use super::programs::{ALONE, Costs, Way, run, typical};
use crate::{
    cluster::Cluster,
    covered::Covered,
    results::{Budget, Results},
    stage::Stage,
};

/// Members of the Services that hash the calling Pod.
const HASHED: [usize; 6] = [3, 8, 10, 32, 100, 1_000];

/// A Service that is called: its name, its members, and how one of them is chosen.
type Called = (String, usize, Value);

/// What is compared with the first of them.
fn called() -> Vec<Called> {
    let one = |name: &str, how| (name.to_owned(), 10, how);
    let mut called = vec![one("random", Value::Null)];
    called.extend(HASHED.map(|count| (format!("hash-{count}"), count, hashed())));
    called.extend(HASHED.map(|count| {
        let mut how = hashed();
        how["weights"] = json!({"services": [
            {"name": part(count, 1), "weight": 5},
            {"name": part(count, 2), "weight": 2},
        ]});
        (format!("hash-weighted-{count}"), count, how)
    }));
    called.push(one("hash-address", consistent_hash(&["callerAddress"])));
    called.push(one("least-connections", json!({"algorithm": "LeastConnections"})));
    called
}

fn hashed() -> Value {
    consistent_hash(&["callerPod"])
}

/// The Service that has one or two thirds of the members of another, so that these weigh 5, 2 and
/// 1: the endpoints of all are the same ones.
fn part(count: usize, thirds: usize) -> String {
    format!("of-{count}-{thirds}")
}

fn parts() -> impl Iterator<Item = (String, usize)> {
    let thirds = |count| [1, 2].map(|thirds| (part(count, thirds), count * thirds / 3));
    HASHED.into_iter().flat_map(thirds)
}

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let called = called();
    let policies = called.iter().filter(|(_, _, how)| !how.is_null());
    let policies: Vec<Value> =
        policies.map(|(name, _, how)| TrafficPolicy::new(name, how.clone()).into()).collect();
    let counted = called.iter().map(|(name, count, _)| (name.clone(), *count));
    let all: Vec<_> = counted.chain(parts()).collect();
    let named: Vec<_> = all.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let covered = Covered::with_pods(Cluster::named(&named), policies)?;
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;
    let ways: Vec<Way<'_>> = called
        .iter()
        .map(|(name, ..)| {
            Ok(Way { lane: stage.called_from_pod(&covered, name)?, covered: Some(&covered) })
        })
        .collect::<anyhow::Result<_>>()?;
    let costs = run(stage, &ways, &empty, rounds, ALONE)?;
    results.tell("connect4, a random hit", typical(&costs[0].connect), "ns");
    for (way, (name, ..)) in called.iter().enumerate().skip(1) {
        let what = format!("connect4 above a random hit, {name}");
        let above = above(&costs, way, 0);
        if name.starts_with("hash") {
            results.judge(&what, above, "ns", Budget::AtMost(60.0));
        } else {
            results.tell(&what, above, "ns");
        }
    }
    Ok(())
}

/// A way's cost above that of another.
pub(super) fn above(costs: &[Costs], way: usize, base: usize) -> f64 {
    typical(&costs[way].connect) - typical(&costs[base].connect)
}
