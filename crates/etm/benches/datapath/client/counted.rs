//! Runs of the kernel's programs by the kernel's own account: each lane in turn, and each turn so
//! short that the processor is likely to run at one speed throughout.

use std::ops::Range;

use etm_bench::{
    pace::Paced,
    processor::{self, Role},
};
use etm_dataplane::{Hook, RunCounter, Runs};
use rustix::net::SocketType;
use serde::{Deserialize, Serialize};

use super::{
    Lane, Work, connections,
    lane::{order, socket},
};

/// The hooks whose programs are counted, in the order of all arrays here.
pub(crate) const HOOKS: [Hook; 3] = [Hook::Connect4, Hook::SockRelease, Hook::TcpOutcome];

/// One run of the measuring process.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) ways: Vec<Way>,
    /// Turns of each way.
    pub(crate) turns: usize,
    /// Connections of a turn; a tenth as many before it only warm up.
    pub(crate) calls: usize,
}

/// A lane, and the programs that its connections meet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Way {
    pub(crate) lane: Lane,
    /// Kernel ids.
    pub(crate) programs: [u32; 3],
}

/// The runs of one turn.
pub(crate) type Turn = Paced<[Runs; 3]>;

/// Runs a plan given as JSON, and prints a line of JSON for each time that all ways had their turn.
pub(crate) fn run(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    processor::pin(Role::Client)?;
    let counters = |way: &Way| -> anyhow::Result<[RunCounter; 3]> {
        let [connect, release, outcome] = way.programs;
        Ok([RunCounter::of(connect)?, RunCounter::of(release)?, RunCounter::of(outcome)?])
    };
    let counters = plan.ways.iter().map(counters).collect::<anyhow::Result<Vec<_>>>()?;
    let places = places(&plan.ways);
    let mut entered = None;
    for number in 0..plan.turns {
        let mut turns = vec![Turn::default(); plan.ways.len()];
        for place in order(places.len(), number) {
            let Range { start, end } = places[place];
            if entered.replace(place) != Some(place) {
                plan.ways[start].lane.enter()?;
            }
            for way in order(end - start, number).map(|way| start + way) {
                turns[way] = turn(&plan.ways[way].lane, &counters[way], plan.calls)?;
            }
        }
        println!("{}", serde_json::to_string(&turns)?);
    }
    Ok(())
}

/// Ways that follow each other in the same place. They take their turns together: a move to another
/// cgroup takes the kernel longer than a turn.
fn places(ways: &[Way]) -> Vec<Range<usize>> {
    let mut end = 0;
    let places = ways.chunk_by(|way, next| way.lane.is_beside(&next.lane)).map(|place| {
        let start = end;
        end += place.len();
        start..end
    });
    places.collect()
}

fn turn(lane: &Lane, counters: &[RunCounter; 3], calls: usize) -> anyhow::Result<Turn> {
    let call = |number| {
        connections::call(lane, Work::Connects, socket(SocketType::STREAM)?, number).map(|_| ())
    };
    (0..calls / 10).try_for_each(call)?;
    Turn::take(|| {
        let before = read(counters)?;
        (0..calls).try_for_each(call)?;
        let after = read(counters)?;
        Ok(std::array::from_fn(|hook| after[hook].since(before[hook])))
    })
}

fn read([connect, release, outcome]: &[RunCounter; 3]) -> anyhow::Result<[Runs; 3]> {
    Ok([connect.runs()?, release.runs()?, outcome.runs()?])
}
