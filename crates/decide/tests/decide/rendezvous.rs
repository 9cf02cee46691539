//! Ranks are a permutation, and what they cost follows the logarithm.

use etm_abi::{Candidate, POSITIONS};
use etm_decide::{Ranking, cost};
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
        let off = cost(rank) as f64 / 2_f64.powi(32) / exact - 1.0;
        assert!(off.abs() < 1e-5, "rank {rank}: off by {off}");
        // What the tables are built with takes for granted.
        assert!(cost(rank) >= u64::from(rank) << 15, "rank {rank} costs less than its part of 1");
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
    fn a_weight_changes_no_rank(seed: u64, weight in 1_u16..1_000, position in 0..POSITIONS) {
        let one = Ranking::of(Candidate::new(seed, 1)).rank(position);
        prop_assert_eq!(Ranking::of(Candidate::new(seed, weight)).rank(position), one);
    }
}
