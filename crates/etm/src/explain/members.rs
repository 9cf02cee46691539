//! The members of a table, and what each of them gets.

use std::net::SocketAddr;

use etm_abi::{Candidate, FRONTEND_BALANCED, Frontend};
use etm_dataplane::{Live, MapError, View, monotonic};
use etm_decide::{Offer, Tables as _};
use etm_model::{TableBalance, from_abi};

use crate::{
    balancing::state,
    explain::explanation::{Backend, Explanation, Member, Outcome},
};

/// Everyone who could be chosen, in the order of the table.
pub(super) struct Members<'a> {
    live: &'a Live<'a>,
    /// Backend ids, candidates where members have any, and what is told of each.
    ids: Vec<u32>,
    candidates: Vec<Candidate>,
    rows: Vec<Member>,
}

impl<'a> Members<'a> {
    /// Reads the members of a frontend.
    pub(super) fn of(
        view: &View,
        live: &'a Live<'a>,
        frontend: &Frontend,
    ) -> Result<Self, MapError> {
        let slots = 0..frontend.members;
        let ids: Vec<_> =
            slots.filter_map(|at| live.slot(frontend.table.wrapping_add(at))).collect();
        let balance = (frontend.flags & FRONTEND_BALANCED != 0)
            .then(|| TableBalance::read(frontend.target(), |at| live.word(at)))
            .flatten();
        let header = balance.as_ref().map(|balance| balance.header);
        let candidates = balance.map(|balance| balance.candidates.to_vec()).unwrap_or_default();
        let weighted = header.is_some_and(|header| header.weighted != 0);
        let weight = |at: usize| Some(candidates.get(at).filter(|_| weighted)?.weight());
        let now = monotonic();
        let rows = ids.iter().enumerate().map(|(at, id)| {
            Ok(Member {
                backend: backend(view, live, *id)?,
                state: state(&live.backend(*id).unwrap_or_default(), now),
                weight: weight(at),
                connections: None,
                share: None,
                rank: None,
            })
        });
        let rows = rows.collect::<Result<_, MapError>>()?;
        Ok(Self { live, ids, candidates, rows })
    }

    /// What is told of each.
    pub(super) fn rows(self) -> Vec<Member> {
        self.rows
    }

    /// What is told of a backend that is a member.
    pub(super) fn row(&self, id: u32) -> Option<&Member> {
        self.rows.get(self.ids.iter().position(|other| *other == id)?)
    }

    /// Says that one of them is chosen in a way that leaves it open which.
    pub(super) fn one_of(&self, told: &mut Explanation, how: &str) {
        let mut available =
            self.rows.iter().zip(&self.ids).filter(|(_, id)| self.is_available(**id));
        match (available.next(), available.count()) {
            (Some((only, _)), 0) => {
                told.result = Outcome::Pod;
                told.destination = Some(only.backend.clone());
                told.reason = "it is the only available member".to_owned();
            }
            (_, others) => {
                told.result = Outcome::OneOf;
                told.reason = format!("{} available members, {how}", others + 1);
            }
        }
    }

    /// Tells each one's share of calls that go anywhere, which is that of its weight.
    pub(super) fn share(&mut self) {
        let available: Vec<_> = self.ids.iter().map(|id| self.is_available(*id)).collect();
        let weights = self.rows.iter().zip(&available).filter(|(_, available)| **available);
        let sum: f64 = weights.map(|(row, _)| row.weight()).sum();
        for (row, available) in self.rows.iter_mut().zip(available) {
            row.share = Some(if available { row.weight() / sum } else { 0.0 });
        }
    }

    /// Tells how many connections each one has.
    pub(super) fn count(&mut self) {
        for (row, id) in self.rows.iter_mut().zip(&self.ids) {
            row.connections = Some(self.live.connections(*id));
        }
    }

    /// Tells in which order a position is offered to them.
    pub(super) fn rank(&mut self, position: u32, weighted: bool) {
        let offers =
            self.candidates.iter().map(|candidate| Offer::of(*candidate, position, weighted));
        let mut order: Vec<_> = offers.zip(&mut self.rows).collect();
        order.sort_by_key(|(offer, _)| *offer);
        for (rank, (_, row)) in order.into_iter().enumerate() {
            row.rank = Some(rank + 1);
        }
    }

    fn is_available(&self, id: u32) -> bool {
        self.live.available(id).is_some()
    }
}

impl Member {
    fn weight(&self) -> f64 {
        f64::from(self.weight.unwrap_or(1))
    }
}

/// A backend by its id.
pub(super) fn backend(view: &View, live: &Live<'_>, id: u32) -> Result<Backend, MapError> {
    let record = live.backend(id).unwrap_or_default();
    let address = SocketAddr::new(from_abi(&record.address), u16::from_be(record.port));
    Ok(Backend { pod: view.backend_name(id)?.unwrap_or_default(), address })
}
