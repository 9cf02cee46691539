//! The cells over plain memory: the same words, the same stores.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use etm_abi::{Frontend, Owner, ServiceCell4, ServiceCell6, ServiceKey6};
use etm_decide::{Cell, lookup};
use etm_model::GRACE;

use super::cells::{Cells, Memory};

/// Rows of eight words, as `SERVICES6` has them.
struct Rows(Arc<[[AtomicU64; 8]]>);

impl Rows {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Default::default()).collect())
    }
}

impl Memory for Rows {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn words(&self, index: u32) -> Option<&[AtomicU64]> {
        self.0.get(index as usize).map(<[_; 8]>::as_slice)
    }
}

/// Few hashes, so that keys crowd; numbered from 1.
fn key(number: u64) -> (u32, [u64; 3]) {
    ((number % 5) as u32 * 2 + 1_020, [number, number << 8, number])
}

fn frontend(number: u32) -> Frontend {
    Frontend {
        service: number,
        table: number * 2,
        members: number % 7,
        flags: 1,
        generation: number + 1,
        errno: 111,
    }
}

/// Numbers without a pattern, the same at each run.
fn numbers() -> impl FnMut(u64) -> u64 {
    let mut state = 1;
    move |below| u64::from(etm_decide::random(&mut state)) % below
}

#[test]
fn the_cells_hold_what_a_map_would_hold() {
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let mut expected = BTreeMap::new();
    let mut random = numbers();
    let mut now = Instant::now();
    for round in 0..20_000 {
        now += Duration::from_millis(random(300));
        let number = 1 + random(60);
        let (hash, words) = key(number);
        if random(3) == 0 {
            cells.remove(hash, words, now);
            expected.remove(&words);
        } else {
            let value = frontend(random(1_000) as u32);
            assert!(cells.set(hash, words, &value, now));
            expected.insert(words, value);
        }
        assert_eq!(cells.get(hash, words), expected.get(&words).copied());
        if round % 100 == 0 {
            let all: BTreeMap<_, _> = cells.all().collect();
            assert_eq!(all, expected, "round {round}");
        }
    }
}

#[test]
fn a_cell_is_given_to_another_key_only_after_the_grace() {
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let start = Instant::now();
    let at =
        |cells: &Cells<Rows, 3>, index: usize| cells.memory().0[index][0].load(Ordering::Relaxed);
    assert!(cells.set(8, [1, 1, 1], &frontend(1), start));
    cells.remove(8, [1, 1, 1], start);
    assert!(cells.set(8, [2, 2, 2], &frontend(2), start + GRACE / 2));
    assert_eq!((at(&cells, 8), at(&cells, 9)), (1, 2));
    assert!(cells.set(8, [3, 3, 3], &frontend(3), start + GRACE));
    assert_eq!((at(&cells, 8), at(&cells, 9)), (3, 2));
}

#[test]
fn a_key_that_comes_back_has_its_cell_at_once() {
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let start = Instant::now();
    assert!(cells.set(8, [1, 1, 1], &frontend(1), start));
    cells.remove(8, [1, 1, 1], start);
    assert_eq!(cells.get(8, [1, 1, 1]), None);
    assert!(cells.set(8, [1, 1, 1], &frontend(2), start));
    assert_eq!(cells.get(8, [1, 1, 1]), Some(frontend(2)));
    // It is in use: the grace of its removal must not empty it.
    assert!(cells.set(100, [9, 9, 9], &frontend(9), start + GRACE * 2));
    assert_eq!(cells.get(8, [1, 1, 1]), Some(frontend(2)));
}

#[test]
fn cells_that_nobody_needs_become_empty() {
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let start = Instant::now();
    for round in 0..10_u32 {
        let now = start + GRACE * 2 * round;
        for number in 1..=50 {
            let number = number + 100 * u64::from(round);
            let (hash, words) = key(number);
            assert!(cells.set(hash, words, &frontend(1), now));
        }
        for number in 1..=50 {
            let (hash, words) = key(number + 100 * u64::from(round));
            cells.remove(hash, words, now);
        }
    }
    assert!(cells.set(500, [1, 1, 1], &frontend(1), start + GRACE * 30));
    let used = cells.memory().0.iter().filter(|row| row[2].load(Ordering::Relaxed) != 0).count();
    assert_eq!(used, 1);
}

#[test]
fn what_rested_under_an_earlier_writer_rests_anew() {
    let memory = Rows::new(1_024);
    let again = Rows(Arc::clone(&memory.0));
    let start = Instant::now();
    let mut cells = Cells::<_, 3>::new(memory);
    assert!(cells.set(8, [1, 1, 1], &frontend(1), start));
    cells.remove(8, [1, 1, 1], start);
    let mut cells = Cells::<_, 3>::new(again);
    assert!(cells.set(8, [2, 2, 2], &frontend(2), start + GRACE * 2));
    assert_eq!(cells.memory().0[9][0].load(Ordering::Relaxed), 2);
}

#[test]
fn a_crowd_that_has_no_room_is_told() {
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let now = Instant::now();
    let placed = (1..).take_while(|number| cells.set(7, [*number; 3], &frontend(1), now)).count();
    assert_eq!(placed, etm_abi::PROBES as usize);
    assert_eq!(cells.get(7, [5; 3]), Some(frontend(1)));
}

/// What a program does: key, then target.
fn read(rows: &[[AtomicU64; 8]], hash: u32, key: [u64; 3]) -> u64 {
    let mask = u32::try_from(rows.len()).unwrap_or_default() - 1;
    lookup(hash, mask, |index| {
        let word = |at: usize| rows[index as usize][at].load(Ordering::Acquire);
        match word(2) {
            0 => Cell::Empty,
            last if last == key[2] && word(1) == key[1] && word(0) == key[0] => {
                Cell::Match(word(3))
            }
            _ => Cell::Other,
        }
    })
    .unwrap_or_default()
}

#[test]
fn readers_never_meet_half_a_frontend_or_another_ones() {
    let memory = Rows::new(1_024);
    let rows = Arc::clone(&memory.0);
    let ended = Arc::new(AtomicBool::new(false));
    // The odd ones stay, whatever happens around them; the even ones come and go.
    let mut cells = Cells::<_, 3>::new(memory);
    let mut now = Instant::now();
    let value = |number: u64| frontend(number as u32 * 3);
    for number in 1..60 {
        let (hash, words) = key(number);
        assert!(cells.set(hash, words, &value(number), now));
    }
    let reader = thread::spawn({
        let ended = Arc::clone(&ended);
        move || {
            let mut random = numbers();
            let mut reads = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                let number = 1 + random(59);
                let (hash, words) = key(number);
                let target = read(&rows, hash, words);
                let gone = target == 0 && number.is_multiple_of(2);
                assert!(gone || target == value(number).target().0, "{number}: {target:x}");
                reads += 1;
            }
            reads
        }
    });
    let mut random = numbers();
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        // The grace passes quickly here: the reader is at most some microseconds behind.
        now += GRACE / 50;
        let number = 2 * (1 + random(29));
        let (hash, words) = key(number);
        if random(2) == 0 {
            cells.remove(hash, words, now);
        } else {
            assert!(cells.set(hash, words, &value(number), now));
        }
        thread::sleep(Duration::from_micros(5));
    }
    ended.store(true, Ordering::Relaxed);
    assert!(reader.join().is_ok_and(|reads| reads > 1_000));
}

#[test]
fn the_words_are_where_the_records_have_them() {
    let owner = Owner { service: 1, generation: 2, errno: 3, pad: [0; 3] };
    let mut cells = Cells::<_, 3>::new(Rows::new(1_024));
    let value = Frontend { service: 1, generation: 2, errno: 3, ..frontend(9) };
    let key = ServiceKey6::new(&[1, 2, 3, 4], 5, 6);
    assert!(cells.set(4, key.0, &value, Instant::now()));
    let words: Vec<_> =
        cells.memory().0[4].iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let record = ServiceCell6 { key: key.0, target: value.target().0, owner, reserved: [0; 2] };
    assert_eq!(words[..3], record.key);
    assert_eq!(words[3], record.target);
    assert_eq!(words[4], 1 | 2 << 32);
    assert_eq!(words[5], 3);
    assert_eq!(core::mem::offset_of!(ServiceCell6, target), 24);
    assert_eq!(core::mem::offset_of!(ServiceCell6, owner), 32);
    assert_eq!(core::mem::offset_of!(ServiceCell4, target), 8);
    assert_eq!(core::mem::offset_of!(ServiceCell4, owner), 16);
    assert_eq!(core::mem::offset_of!(Owner, generation), 4);
    assert_eq!(core::mem::offset_of!(Owner, errno), 8);
}
