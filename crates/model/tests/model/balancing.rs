//! Balanced tables in the maps: shared shortlists, adoption, repair and room.

use std::collections::BTreeSet;

use etm_abi::{self as abi, BALANCING_WORDS, Balancing, LINE_SLOTS};
use etm_model::{
    Algorithm, Change, Delta, HashFields, Limits, LoadBalancing, Options, Planner, Policy,
    Protocol, TableBalance,
};

use crate::{
    cluster::{name, port, service, slice},
    kernel::Kernel,
};

/// Room for a few shortlists of 40 members, which take 16,384 slots each.
const ROOM: Limits = Limits { frontends: 64, backends: 256, slots: 65_536, routes: 256 };

fn hashed(service: &str) -> Change {
    let algorithm = Algorithm::ConsistentHash(HashFields::default());
    Change::SetPolicy(Policy {
        name: name("sticky"),
        created: None,
        service: service.into(),
        port: None,
        load_balancing: LoadBalancing { algorithm, ..LoadBalancing::default() },
        health: None,
        refusal: Default::default(),
        stale: Default::default(),
        monitors: Default::default(),
        ejected: Default::default(),
    })
}

fn endpoints(count: u8) -> Vec<String> {
    (1..=count).map(|host| format!("10.1.0.{host}")).collect()
}

fn members(count: u8) -> Change {
    let endpoints = endpoints(count);
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    Change::SetSlice(slice("cart", "one", &endpoints))
}

/// Service cart with two ports on two addresses, hashed, and so many Pods.
fn cart(pods: u8) -> Vec<Change> {
    let mut cart = service("cart", &["10.0.0.1", "10.0.0.2"]);
    cart.ports.push(port("admin", Protocol::Tcp, 81, None));
    vec![Change::SetService(cart), hashed("cart"), members(pods)]
}

fn planned(kernel: &mut Kernel, changes: Vec<Change>) -> Planner {
    let mut planner = Planner::new(Options::default());
    let delta = planner.change(changes);
    kernel.apply(&delta);
    planner
}

fn balances(kernel: &Kernel) -> Vec<TableBalance> {
    kernel.maps.contents().balances.into_values().collect()
}

/// Where shortlists begin.
fn shortlists(kernel: &Kernel) -> BTreeSet<u32> {
    let all = balances(kernel);
    let with = all.iter().filter(|balance| balance.header.shortlist_bits != 0);
    with.map(|balance| balance.header.shortlist).collect()
}

/// The first slot of a table's candidates.
fn candidates(balance: &TableBalance, table: u32) -> usize {
    let members = u32::try_from(balance.candidates.len()).unwrap();
    let header = table - 2 * BALANCING_WORDS;
    (header + Balancing::candidates_line(members) * LINE_SLOTS) as usize
}

#[test]
fn what_is_compared_at_once_is_in_one_line() {
    for (pods, lines) in [(1, 2), (3, 2), (8, 2), (9, 4), (24, 5), (25, 7)] {
        let mut kernel = Kernel::new(ROOM);
        let planner = planned(&mut kernel, cart(pods));
        kernel.holds(planner.plan());
        let tables = kernel.maps.contents().balances;
        for (table, balance) in &tables {
            assert_eq!((table - 2 * BALANCING_WORDS) % LINE_SLOTS, 0);
            let words = &kernel.maps.slots[candidates(balance, *table)..];
            let last = balance.candidates.last().unwrap().0;
            for at in usize::from(pods)..usize::from(pods).next_multiple_of(8) {
                assert_eq!(words[2 * at..2 * at + 2], [last as u32, (last >> 32) as u32]);
            }
        }
        assert_eq!(tables.len(), 1);
        let shortlist: usize = tables.values().map(|balance| 2 * balance.shortlist.len()).sum();
        let taken = kernel.ledger.usage().slots as usize - shortlist;
        assert_eq!(taken, lines * LINE_SLOTS as usize, "{pods} Pods");
    }
}

#[test]
fn a_table_may_fill_all_slots() {
    let room = Limits { slots: 2 * LINE_SLOTS, ..ROOM };
    let mut kernel = Kernel::new(room);
    let planner = planned(&mut kernel, cart(3));
    kernel.holds(planner.plan());
    assert_eq!(kernel.ledger.usage().slots, room.slots);
}

#[test]
fn a_table_that_is_not_balanced_has_nothing_but_its_ids() {
    let mut kernel = Kernel::new(ROOM);
    let mut planner = planned(&mut kernel, cart(3));
    kernel.apply(&planner.change([Change::RemovePolicy(name("cart"), "sticky".into())]));
    kernel.settle();
    kernel.holds(planner.plan());
    assert_eq!(kernel.ledger.usage().slots, 4);
}

#[test]
fn the_ports_of_a_service_share_one_shortlist() {
    let mut kernel = Kernel::new(ROOM);
    let mut planner = planned(&mut kernel, cart(40));
    kernel.holds(planner.plan());
    assert_eq!(shortlists(&kernel).len(), 1);
    let taken = kernel.ledger.usage().slots;
    assert!((16_384..17_500).contains(&taken), "{taken} slots");

    kernel.apply(&planner.change([members(39)]));
    kernel.holds(planner.plan());
    kernel.settle();
    let after = kernel.ledger.usage().slots;
    assert!(after <= taken, "the shortlist from before still takes up room: {after} slots");

    kernel.apply(&planner.change([members(8)]));
    kernel.settle();
    kernel.holds(planner.plan());
    assert!(shortlists(&kernel).is_empty());
    assert!(kernel.ledger.usage().slots < 200);
}

#[test]
fn the_next_agent_takes_shortlists_over() {
    let mut kernel = Kernel::new(ROOM);
    let planner = planned(&mut kernel, cart(40));
    kernel.settle();
    kernel.restart();
    assert!(kernel.reconcile(planner.plan()).steps.is_empty());
    kernel.holds(planner.plan());
}

#[test]
fn a_shortlist_and_a_header_that_are_wrong_are_mended() {
    let wrong: [fn(&mut Kernel, &TableBalance, u32); 5] = [
        |kernel, balance, _| kernel.maps.slots[balance.header.shortlist as usize * 2 + 77] ^= 1,
        |kernel, _, table| kernel.maps.slots[table as usize - 2 * BALANCING_WORDS as usize] ^= 1,
        // Groups of another size.
        |kernel, _, table| kernel.maps.slots[table as usize - 3] ^= 1,
        // A candidate of another seed.
        |kernel, balance, table| kernel.maps.slots[candidates(balance, table) + 1] ^= 1 << 30,
        // What stands in for members behind the last one.
        |kernel, balance, table| {
            let members = balance.candidates.len();
            kernel.maps.slots[candidates(balance, table) + 2 * members] ^= 1;
        },
    ];
    for corrupt in wrong {
        let mut kernel = Kernel::new(ROOM);
        let planner = planned(&mut kernel, cart(37));
        kernel.settle();
        let (table, balance) = kernel.maps.contents().balances.pop_first().unwrap();
        corrupt(&mut kernel, &balance, table);
        kernel.restart();
        // Not while programs look on: what they would see is broken to begin with.
        let steps = kernel.ledger.reconcile(planner.plan(), kernel.now).steps;
        assert!(!steps.is_empty());
        for step in steps {
            kernel.maps.apply(&step).unwrap();
        }
        kernel.holds(planner.plan());
        kernel.settle();
        kernel.holds(planner.plan());
    }
}

#[test]
fn without_room_for_a_shortlist_the_frontends_stay_as_they_were() {
    let mut kernel = Kernel::new(Limits { slots: 8_000, ..ROOM });
    let mut planner = planned(&mut kernel, cart(8));
    let before = kernel.maps.frontends.clone();
    let problems = kernel.apply(&planner.change([members(40)])).problems;
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(problem.reason.contains("of the 8000 slots no 16384 in a row are free"));
        assert!(problem.hint.starts_with("raise --max-slots"), "{problem}");
    }
    assert_eq!(kernel.maps.frontends, before);
    kernel.apply(&planner.change([members(8)]));
    kernel.holds(planner.plan());
}

#[test]
fn maps_of_another_size_take_over_how_members_are_chosen() {
    let mut kernel = Kernel::new(ROOM);
    let planner = planned(&mut kernel, cart(40));
    let carried: Delta = kernel.ledger.carried();
    let mut larger = Kernel::new(Limits { slots: 131_072, ..ROOM });
    larger.apply(&carried);
    larger.holds(planner.plan());
}

#[test]
fn what_is_read_is_what_is_written() {
    let header = Balancing {
        algorithm: abi::ALGORITHM_CONSISTENT_HASH,
        fields: 63,
        shortlist_bits: 8,
        weighted: 1,
        affinity: 86_400,
        salt: u64::MAX - 5,
        shortlist: u32::MAX - 9,
        group_bits: 3,
        ..Balancing::default()
    };
    assert_eq!(Balancing::of(header.words()), header);
}
