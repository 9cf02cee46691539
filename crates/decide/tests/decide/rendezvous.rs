//! Ranks are a permutation, and what they cost follows the logarithm.

use etm_abi::{Candidate, POSITIONS};
use etm_decide::{COST_BITS, Offer, Ranking, cost};
use proptest::prelude::*;

#[test]
fn a_worse_rank_costs_more() {
    let costs: Vec<u64> = (0..POSITIONS).map(cost).collect();
    assert!(costs.iter().zip(costs.iter().skip(1)).all(|(better, worse)| better < worse));
}

#[test]
fn a_rank_costs_the_logarithm_of_what_is_better_than_its_rest() {
    for rank in 0..POSITIONS {
        let x = (f64::from(rank) + 0.5) / f64::from(POSITIONS);
        let exact = -(-x).ln_1p();
        let off = cost(rank) as f64 / 2_f64.powi(COST_BITS as i32) / exact - 1.0;
        let last = rank >= POSITIONS - POSITIONS / 64;
        // A line's start and what is added are rounded; and the line is above the curve.
        let units = 1.5 / 2_f64.powi(COST_BITS as i32) / exact;
        let near = (-units - 1e-5..units + 2.1e-3).contains(&off);
        assert!(last || near, "rank {rank}: off by {off}");
        // What the tables are built with takes for granted.
        let part = u64::from(rank) << (COST_BITS - 17);
        assert!(cost(rank) >= part, "rank {rank} costs less than its part of 1");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_candidate_has_each_rank_once_and_the_inverse_finds_it(seed: u64, weight in 1_u16..1_000) {
        let ranking = Ranking::of(Candidate::new(seed, weight));
        let positions = ranking.inverse();
        let mut seen = vec![false; POSITIONS as usize];
        for position in 0..POSITIONS {
            let rank = ranking.rank(position);
            prop_assert!(!std::mem::replace(&mut seen[rank as usize], true), "rank {} twice", rank);
            prop_assert_eq!(positions.position(rank), position);
        }
    }

    #[test]
    fn numbered_offers_have_the_order_of_offers(
        seeds in proptest::array::uniform2(any::<u64>()),
        weights in proptest::array::uniform2(1_u16..=1_000),
        numbers in proptest::array::uniform2(0_u32..8),
        position in 0..POSITIONS,
    ) {
        for weighted in [false, true] {
            let weights = if weighted { weights } else { [weights[0]; 2] };
            let [a, b] = [0, 1].map(|at| {
                let one = Candidate::new(seeds[at], weights[at]);
                let numbered = Offer::numbered(one, position, weighted, numbers[at]);
                prop_assert!(numbered < 1 << 63);
                prop_assert_eq!(numbered as u32 % 8, numbers[at]);
                Ok((Offer::of(one, position, weighted), numbered))
            });
            let (a, b) = (a?, b?);
            if a.0 != b.0 {
                prop_assert_eq!(a.0 < b.0, a.1 < b.1);
            }
        }
    }

    #[test]
    fn a_weight_changes_no_rank(seed: u64, weight in 1_u16..1_000, position in 0..POSITIONS) {
        let one = Ranking::of(Candidate::new(seed, 1)).rank(position);
        prop_assert_eq!(Ranking::of(Candidate::new(seed, weight)).rank(position), one);
    }
}
