//! Sets of backends, and what happens to them.

use etm_model::hash;

/// One backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    /// A hash of its name.
    pub(crate) id: u64,
    pub(crate) weight: u16,
}

/// How weights are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    Equal,
    /// 1, 2, 5, 1, 2, 5 ...
    Mixed,
}

impl Weights {
    pub(crate) const ALL: [Self; 2] = [Self::Equal, Self::Mixed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Mixed => "1:2:5",
        }
    }

    fn of(self, index: usize) -> u16 {
        match self {
            Self::Equal => 1,
            Self::Mixed => [1, 2, 5].get(index % 3).copied().unwrap_or(1),
        }
    }
}

/// What may happen to one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Removal,
    Addition,
    /// To the next of 1, 2 and 5.
    Weight,
}

impl Change {
    pub(crate) const ALL: [Self; 3] = [Self::Removal, Self::Addition, Self::Weight];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Removal => "removal",
            Self::Addition => "addition",
            Self::Weight => "change of weight",
        }
    }

    /// The set after the `turn`th such change out of `turns`, and the id of the backend that it
    /// happened to.
    pub(crate) fn apply(
        self,
        before: &[Backend],
        set: usize,
        turn: usize,
        turns: usize,
    ) -> (Vec<Backend>, u64) {
        let mut after = before.to_vec();
        let index = turn * before.len() / turns;
        let mut id = before.get(index).map_or(0, |backend| backend.id);
        match self {
            Self::Removal => after.retain(|backend| backend.id != id),
            Self::Addition => {
                let new = backend(set, before.len() + turn, Weights::Equal);
                id = new.id;
                let weight = before.get(index).map_or(1, |backend| backend.weight);
                after.push(Backend { weight, ..new });
                after.sort_unstable_by_key(|backend| backend.id);
            }
            Self::Weight => {
                for backend in after.iter_mut().filter(|backend| backend.id == id) {
                    backend.weight = match backend.weight {
                        1 => 2,
                        2 => 5,
                        _ => 1,
                    };
                }
            }
        }
        (after, id)
    }
}

/// A set of so many backends, in the order of their ids; others than those of other sets.
pub(crate) fn backends(set: usize, size: usize, weights: Weights) -> Vec<Backend> {
    let mut all: Vec<_> = (0..size).map(|index| backend(set, index, weights)).collect();
    all.sort_unstable_by_key(|backend| backend.id);
    all
}

fn backend(set: usize, index: usize, weights: Weights) -> Backend {
    let id = hash(&format!("shop/cart-{set}-{index}"));
    Backend { id, weight: weights.of(index) }
}
