//! What became of connections, second by second.

use std::collections::HashMap;

use etm_dataplane::Dataplane;
use etm_health::Outcomes;

/// The counters as they were read last.
#[derive(Default)]
pub(super) struct Samples {
    /// Connections established, unanswered and reset, by backend id; they wrap as the kernel's do.
    last: Vec<[u32; 3]>,
    /// Of those that had failures: counted on, so that they do not wrap.
    sums: HashMap<u32, [u64; 3]>,
}

impl Samples {
    /// Reads the counters of the first so many backends: those whose connections failed since the
    /// last time, or had failed before and changed, as they were then and as they are now.
    pub(super) fn take(&mut self, count: u32, dataplane: &Dataplane) -> Vec<(u32, [Outcomes; 2])> {
        let mut changed = Vec::new();
        self.last.resize(count as usize, [0; 3]);
        for (id, last) in (0..count).zip(&mut self.last) {
            let Some(read) = dataplane.outcomes(id) else { continue };
            let unanswered = read.refused.wrapping_add(read.timed_out);
            let now = [read.established, unanswered, read.reset];
            let before = std::mem::replace(last, now);
            if now == before || (now[1..] == before[1..] && !self.sums.contains_key(&id)) {
                continue;
            }
            let sums = self.sums.entry(id).or_default();
            let then = *sums;
            for ((sum, now), before) in sums.iter_mut().zip(now).zip(before) {
                *sum = sum.saturating_add(u64::from(now.wrapping_sub(before)));
            }
            changed.push((id, [outcomes(then), outcomes(*sums)]));
        }
        changed
    }

    /// Forgets a backend whose record is another's by now.
    pub(super) fn forget(&mut self, id: u32) {
        self.sums.remove(&id);
    }
}

/// Why a connection was not answered does not matter for the share of those that were not.
fn outcomes([established, unanswered, reset]: [u64; 3]) -> Outcomes {
    let attempts = established.saturating_add(unanswered);
    Outcomes { attempts, established, refused: unanswered, timed_out: 0, reset }
}
