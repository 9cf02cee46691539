//! What lies in `SLOTS` around a table whose members are not chosen evenly at random.

use std::{collections::BTreeMap, sync::Arc};

use etm_abi::{self as abi, BALANCING_WORDS, Balancing, Candidate, LINE_SLOTS, LINE_WORDS, Target};

use crate::{
    hashing,
    plan::{self, Pool},
    policy::{Affinity, Algorithm, HashField, HashFields},
};

/// What a table has besides the ids of its backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBalance {
    /// What lies before the ids; its `shortlist` says where that lies.
    pub header: Balancing,
    /// What lies behind the ids.
    pub candidates: Arc<[Candidate]>,
    /// The words of the shortlist; none where there is none.
    pub shortlist: Arc<[u64]>,
}

impl TableBalance {
    /// Reads what those tables have that say so, by table, each once: a shortlist has thousands of
    /// words, and a Service several frontends.
    pub fn of_all(
        targets: impl IntoIterator<Item = Target>,
        word: impl Fn(u32) -> Option<u64>,
    ) -> BTreeMap<u32, Self> {
        let mut read = BTreeMap::new();
        for target in targets {
            if target.flags() & abi::FRONTEND_BALANCED != 0
                && !read.contains_key(&target.table())
                && let Some(balance) = Self::read(target, &word)
            {
                read.insert(target.table(), balance);
            }
        }
        read
    }

    /// Reads what a table has besides the ids; none where it does not begin at a line,
    /// some of it is outside of the array, or what follows the candidates is not the last of them.
    pub fn read(target: Target, word: impl Fn(u32) -> Option<u64>) -> Option<Self> {
        let (table, members) = (target.table(), target.members());
        let start = table.checked_sub(2 * BALANCING_WORDS)?;
        if !start.is_multiple_of(LINE_SLOTS) {
            return None;
        }
        let head = start / 2;
        let header =
            Balancing::of([word(head)?, word(head + 1)?, word(head + 2)?, word(head + 3)?]);
        let behind = head.checked_add(candidates_word(members))?;
        let all = 0..members.next_multiple_of(LINE_WORDS);
        let all = all.map(|at| word(behind.checked_add(at)?).map(Candidate));
        let mut candidates = all.collect::<Option<Vec<_>>>()?;
        let rest = candidates.split_off(members as usize);
        if rest.iter().any(|one| Some(one) != candidates.last()) {
            return None;
        }
        let shortlist = 0..Balancing::shortlist_words(header.shortlist_bits);
        let shortlist = shortlist.map(|at| word(header.shortlist.checked_add(at)?));
        Some(Self {
            header,
            candidates: candidates.into(),
            shortlist: shortlist.collect::<Option<_>>()?,
        })
    }
}

/// The first word of a table's candidates, counted from that of its header.
pub(crate) fn candidates_word(members: u32) -> u32 {
    Balancing::candidates_line(members) * LINE_WORDS
}

/// The words of candidates, whole lines of them: the last one until the end.
pub(crate) fn candidate_words(candidates: &[Candidate]) -> Arc<[u64]> {
    let mut words: Vec<_> = candidates.iter().map(|one| one.0).collect();
    if let Some(last) = words.last().copied() {
        words.resize(words.len().next_multiple_of(LINE_WORDS as usize), last);
    }
    words.into()
}

/// The header that a table must have, wherever its shortlist lies.
pub(crate) fn header(balancing: &plan::Balancing, candidates: &[Candidate]) -> Balancing {
    let (algorithm, fields) = match balancing.algorithm {
        Algorithm::Random => (abi::ALGORITHM_RANDOM, 0),
        Algorithm::LeastConnections => (abi::ALGORITHM_LEAST_CONNECTIONS, 0),
        Algorithm::ConsistentHash(fields) => (abi::ALGORITHM_CONSISTENT_HASH, fields.bits()),
    };
    let shortlist_bits = shortlist_bits(balancing, candidates);
    Balancing {
        algorithm,
        fields,
        shortlist_bits,
        group_bits: hashing::group_bits(candidates.len(), shortlist_bits),
        weighted: u8::from(hashing::weighted(candidates)),
        affinity: balancing.affinity.map_or(0, Affinity::seconds),
        salt: balancing.salt,
        ..Balancing::default()
    }
}

/// Bits of an entry of the shortlist: by load, two members are compared and no more.
fn shortlist_bits(balancing: &plan::Balancing, candidates: &[Candidate]) -> u8 {
    match balancing.algorithm {
        Algorithm::LeastConnections => 0,
        Algorithm::Random | Algorithm::ConsistentHash(_) => hashing::shortlist_bits(candidates),
    }
}

/// What made a header what it is; none for a header that etm never writes.
pub(crate) fn planned(header: &Balancing) -> Option<plan::Balancing> {
    let algorithm = match header.algorithm {
        abi::ALGORITHM_RANDOM => Algorithm::Random,
        abi::ALGORITHM_LEAST_CONNECTIONS => Algorithm::LeastConnections,
        abi::ALGORITHM_CONSISTENT_HASH => {
            Algorithm::ConsistentHash(HashFields::new(HashField::of_bits(header.fields))?)
        }
        _ => return None,
    };
    let affinity = match header.affinity {
        0 => None,
        seconds => Some(Affinity::new(seconds)?),
    };
    Some(plan::Balancing { algorithm, salt: header.salt, affinity })
}

/// The candidates of a pool, shared.
pub(crate) fn candidates(pool: &Pool) -> Arc<[Candidate]> {
    hashing::candidates(pool).into()
}
