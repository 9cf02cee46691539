//! Shares, and who moves when members come and go.

use std::collections::BTreeMap;

use etm_abi::{Candidate, POSITIONS};
use etm_decide::{Offer, Ranking, cost};
use etm_model::{
    hash,
    hashing::{group_bits, owners, shortlist_bits, weighted},
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Members of a set of names, the first ones the same for any number of them.
pub(crate) fn candidates(
    set: usize,
    members: usize,
    weight: impl Fn(usize) -> u16,
) -> Vec<Candidate> {
    let name = |index| format!("shop/cart-{set}-{index}");
    (0..members).map(|index| Candidate::new(hash(&name(index)), weight(index))).collect()
}

/// The owners of positions, by what stays the same when members come and go.
fn owned(candidates: &[Candidate]) -> Vec<u64> {
    owners(candidates).iter().map(|index| candidates[usize::from(*index)].seed()).collect()
}

/// Positions that changed hands between members that were and are there.
fn collateral(before: &[Candidate], after: &[Candidate]) -> usize {
    let there = |all: &[Candidate], seed| all.iter().any(|one| one.seed() == seed);
    let both = owned(before).into_iter().zip(owned(after));
    both.filter(|(was, is)| was != is && there(after, *was) && there(before, *is)).count()
}

/// The largest share over what it should be.
fn spread(candidates: &[Candidate]) -> f64 {
    let mut counts = BTreeMap::<u16, u32>::new();
    for owner in owners(candidates) {
        *counts.entry(owner).or_default() += 1;
    }
    let weight = |one: &Candidate| 1.0 / one.inverse_weight() as f64;
    let all: f64 = candidates.iter().map(weight).sum();
    let shares = counts.iter().map(|(index, count)| {
        let share = f64::from(POSITIONS) * weight(&candidates[usize::from(*index)]) / all;
        f64::from(*count) / share
    });
    shares.fold(0.0, f64::max)
}

pub(crate) fn equal(_: usize) -> u16 {
    1
}

/// Weights of 1, 2 and 5.
pub(crate) fn mixed(index: usize) -> u16 {
    [1, 2, 5][index % 3]
}

#[test]
fn each_position_has_the_best_offer() {
    for weight in [equal as fn(usize) -> u16, mixed] {
        for members in [1, 2, 3, 8, 9, 20, 32] {
            let candidates = candidates(0, members, weight);
            let weighted = weighted(&candidates);
            for (position, owner) in (0..).zip(owners(&candidates)) {
                let offers = candidates.iter().map(|one| Offer::of(*one, position, weighted));
                let best = offers.enumerate().min_by_key(|(_, offer)| *offer).unwrap().0;
                assert_eq!(usize::from(owner), best, "{members} members, position {position}");
            }
        }
    }
}

#[test]
fn up_to_32_members_none_moves_that_need_not() {
    for weight in [equal as fn(usize) -> u16, mixed] {
        for members in [2, 3, 8, 9, 10, 31, 32] {
            let all = candidates(1, members, weight);
            for gone in [0, members / 2, members - 1] {
                let mut fewer = all.clone();
                fewer.remove(gone);
                assert_eq!(collateral(&all, &fewer), 0, "{members}, without {gone}");
            }
        }
    }
}

#[test]
fn many_members_keep_to_the_limit_and_few_move() {
    for (members, limit, moved) in [(50, 1.05, 0.0001), (100, 1.05, 0.001), (1_000, 1.06, 0.001)] {
        let all = candidates(2, members, equal);
        assert!(spread(&all) <= limit, "{members}: {}", spread(&all));
        let mut worst = 0;
        for gone in [0, members / 2] {
            let mut fewer = all.clone();
            fewer.remove(gone);
            worst = worst.max(collateral(&all, &fewer));
        }
        let share = worst as f64 / f64::from(POSITIONS);
        assert!(share <= moved, "{members}: {share}");
    }
}

/// Seeds and weights of up to 32 members, none twice.
fn any_members() -> impl Strategy<Value = Vec<Candidate>> {
    let weights = prop_oneof![Just(vec![1]), Just(vec![1, 2, 5]), vec(1_u16..1_000, 1..5)];
    (vec(any::<u64>(), 1..=32), weights).prop_map(|(seeds, weights)| {
        let weights = weights.into_iter().cycle();
        let all = seeds.into_iter().zip(weights).map(|(seed, weight)| Candidate::new(seed, weight));
        let all: BTreeMap<u64, Candidate> = all.map(|one| (one.seed(), one)).collect();
        all.into_values().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn owners_do_not_depend_on_the_order_of_members(
        (members, shuffled) in any_members().prop_flat_map(|members| {
            (Just(members.clone()), Just(members).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(owned(&members), owned(&shuffled));
    }

    #[test]
    fn what_happens_to_one_member_moves_nothing_of_others(
        members in any_members(),
        index: Index,
        weight in 1_u16..1_000,
    ) {
        let index = index.index(members.len());
        let one = members[index];
        let mut fewer = members.clone();
        fewer.remove(index);
        let mut changed = members.clone();
        changed[index] = Candidate::new(one.seed() << 24, weight);
        let all = owned(&members);
        if !fewer.is_empty() {
            for (was, is) in all.iter().zip(owned(&fewer)) {
                prop_assert!(*was == is || *was == one.seed());
            }
        }
        for (was, is) in all.iter().zip(owned(&changed)) {
            let grown = changed[index].inverse_weight() < one.inverse_weight();
            let mover = if grown { is } else { *was };
            prop_assert!(*was == is || mover == one.seed());
        }
    }
}

/// Ranks of two weights that cost the same.
fn ranks_of_one_price(weights: [u16; 2]) -> Option<[u32; 2]> {
    let [a, b] = weights.map(|weight| Candidate::new(0, weight).inverse_weight());
    let prices: BTreeMap<u64, u32> = (0..POSITIONS).map(|rank| (cost(rank) * a, rank)).collect();
    let ranks = (0..POSITIONS).find_map(|rank| Some([*prices.get(&(cost(rank) * b))?, rank]));
    ranks.filter(|_| a != b)
}

#[test]
fn between_offers_that_are_equal_the_smaller_seed_has_it() {
    let weights = [[1, 3], [1, 5], [1, 7], [3, 5], [5, 7]];
    let (weights, ranks) =
        weights.into_iter().find_map(|both| Some((both, ranks_of_one_price(both)?))).unwrap();
    let middle = 1 << 39;
    let one = Candidate::new(middle << 24, weights[0]);
    let position = Ranking::of(one).inverse().position(ranks[0]);
    for first in [1, middle + 1] {
        let mut others = (first..).map(|seed| Candidate::new(seed << 24, weights[1]));
        let meets = |one: &Candidate| Ranking::of(*one).rank(position) == ranks[1];
        let other = others.find(meets).unwrap();
        for both in [[one, other], [other, one]] {
            let owner = both[usize::from(owners(&both)[position as usize])];
            assert_eq!(owner.seed(), one.seed().min(other.seed()));
        }
    }
}

#[test]
fn thirty_three_members_in_any_order_have_the_same() {
    for weight in [equal as fn(usize) -> u16, mixed] {
        let all = candidates(5, 33, weight);
        let turned: Vec<_> = all.iter().rev().copied().collect();
        assert_eq!(owned(&all), owned(&turned));
    }
}

#[test]
fn a_change_of_weight_moves_positions_to_or_from_that_member_alone() {
    let before = candidates(3, 12, mixed);
    let after = candidates(3, 12, |index| if index == 4 { 9 } else { mixed(index) });
    let changed = before[4].seed();
    assert_eq!(changed, after[4].seed());
    for (was, is) in owned(&before).into_iter().zip(owned(&after)) {
        assert!(was == is || is == changed);
    }
}

#[test]
fn shortlists_are_as_small_as_they_can_be() {
    let bits = |members, weight: fn(usize) -> u16| shortlist_bits(&candidates(4, members, weight));
    assert_eq!([1, 8, 9, 16, 17, 64, 65, 5_000].map(|n| bits(n, equal)), [0, 0, 2, 2, 4, 4, 8, 8]);
    assert_eq!([1, 4, 5, 16, 17, 64, 65, 600].map(|n| bits(n, mixed)), [0, 0, 2, 2, 4, 4, 8, 8]);
}

#[test]
fn groups_are_as_small_as_they_can_be() {
    let of = [(1, 0), (2, 0), (4, 0), (5, 0), (8, 0), (5, 2), (8, 2), (9, 2), (16, 2)];
    assert_eq!(of.map(|(n, bits)| group_bits(n, bits)), [0, 1, 2, 3, 3, 1, 1, 2, 2]);
    let of =
        [(17, 4), (32, 4), (33, 4), (64, 4), (65, 8), (256, 8), (257, 8), (513, 8), (1_024, 8)];
    assert_eq!(of.map(|(n, bits)| group_bits(n, bits)), [1, 1, 2, 2, 0, 0, 1, 2, 2]);
    // More than are compared at once.
    assert_eq!(
        [(2_048, 8), (2_049, 8), (65_535, 8)].map(|(n, bits)| group_bits(n, bits)),
        [3, 4, 8]
    );
}
