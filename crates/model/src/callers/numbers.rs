use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::route::{CALLER_NODE_NUMBER, CallerNumber};

/// Numbers that rest before the first of them is given to another Pod: a program that read one may
/// still be on its way, and routes are as long as the largest number that is in use.
const RESTING: usize = 32;

/// Which Pod has which number in routes, by UID.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    given: HashMap<Arc<str>, CallerNumber>,
    /// Free since before the agent started, so that the Pods without a cgroup, which no map remembers,
    /// get the numbers again that they had.
    gaps: VecDeque<CallerNumber>,
    /// Taken back, the longest ago first.
    resting: VecDeque<CallerNumber>,
    /// The largest that was ever given.
    last: CallerNumber,
}

impl Numbers {
    /// Takes over what was given before.
    pub(super) fn adopt(given: impl Iterator<Item = (Arc<str>, CallerNumber)>) -> Self {
        let given: HashMap<_, _> =
            given.filter(|(_, number)| *number > CALLER_NODE_NUMBER).collect();
        let last = given.values().copied().max().unwrap_or(CALLER_NODE_NUMBER);
        let mut taken = vec![false; usize::from(last) + 1];
        given.values().for_each(|number| taken[usize::from(*number)] = true);
        let free = (CALLER_NODE_NUMBER + 1..last).filter(|number| !taken[usize::from(*number)]);
        Self { gaps: free.collect(), last, given, ..Self::default() }
    }

    pub(super) fn of(&self, uid: &str) -> Option<CallerNumber> {
        self.given.get(uid).copied()
    }

    /// The number of a Pod, a new one where it has none; 0 where there are no more.
    pub(super) fn give(&mut self, uid: &Arc<str>) -> CallerNumber {
        if let Some(number) = self.of(uid) {
            return number;
        }
        let new = self.last.max(CALLER_NODE_NUMBER).checked_add(1);
        let number = match (self.gaps.pop_front(), new) {
            (Some(gap), _) => gap,
            (None, Some(new)) if self.resting.len() < RESTING => new,
            _ => match self.resting.pop_front() {
                Some(rested) => rested,
                None => return 0,
            },
        };
        self.last = self.last.max(number);
        self.given.insert(Arc::clone(uid), number);
        number
    }

    /// Takes a Pod's number back.
    pub(super) fn take_back(&mut self, uid: &str) -> Option<CallerNumber> {
        let number = self.given.remove(uid)?;
        self.resting.push_back(number);
        Some(number)
    }

    /// UIDs that have a number.
    pub(super) fn uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.given.keys()
    }
}
