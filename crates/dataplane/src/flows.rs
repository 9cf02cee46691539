//! What connected sockets were told, as the kernel's programs noted it.

use std::{
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::{HashMap as BpfHashMap, MapData};
use etm_abi::{FLOW_BUSY, FLOW_CLOSED, FLOW_SLOTS, Flow};

use crate::{
    error::MapError,
    maps::{Mapped, Raw, call, open_map},
};

const MOVED: &str = "FLOWS_MOVED";

/// Words of a record: see [`Flow`].
const COOKIE: usize = 0;
const PHASE: usize = 7;

/// The records of connected sockets; those of MPTCP sockets go with the socket itself.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// Records of `FLOWS` whose sockets are open.
    pub placed: Vec<Flow>,
    /// Records of `FLOWS_MOVED`.
    pub moved: Vec<Flow>,
    /// How many records the places of `FLOWS` say are in `FLOWS_MOVED`.
    pub moved_by_places: u64,
}

impl Flows {
    pub(crate) fn read(set: &Path) -> Result<Self, MapError> {
        let records = FlowRecords::open(set)?;
        let places = || (0..records.placed.len()).filter_map(|index| records.placed.get(index));
        Ok(Self {
            placed: places()
                .filter(|flow| flow.cookie != 0 && flow.cookie & FLOW_CLOSED == 0)
                .collect(),
            moved: records.moved()?,
            moved_by_places: places().map(|flow| flow.moved).sum(),
        })
    }
}

/// The records as they are at each moment.
pub(crate) struct FlowRecords {
    placed: Mapped<Flow>,
    moved: BpfHashMap<MapData, u64, Raw<Flow>>,
}

impl FlowRecords {
    pub(crate) fn open(set: &Path) -> Result<Self, MapError> {
        Ok(Self {
            placed: Mapped::open(set, "FLOWS")?,
            moved: open_map(set, MOVED)?.try_into().map_err(call(MOVED))?,
        })
    }

    /// Those of open sockets, by the socket's cookie. One that is being written is left out.
    pub(crate) fn all(&self) -> Result<HashMap<u64, Flow>, MapError> {
        let is_open = |cookie: u64| cookie != 0 && cookie != FLOW_BUSY && cookie & FLOW_CLOSED == 0;
        let placed = (0..self.placed.len()).filter(|index| is_open(self.cookie(*index)));
        let placed = placed.filter_map(|index| {
            let before = self.cookie(index);
            let flow = self.placed.get(index)?;
            // Else it was written meanwhile.
            (is_open(before) && flow.cookie == before && self.cookie(index) == before)
                .then_some(flow)
        });
        Ok(placed.chain(self.moved()?).map(|flow| (flow.cookie, flow)).collect())
    }

    fn moved(&self) -> Result<Vec<Flow>, MapError> {
        let entries = self.moved.iter();
        entries.map(|entry| entry.map(|(_, Raw(flow))| flow).map_err(call(MOVED))).collect()
    }

    /// Has the programs count nothing of what becomes of a socket from now on.
    pub(crate) fn look_away(&mut self, flow: &Flow) {
        let index = flow.cookie as u32 & (FLOW_SLOTS - 1);
        if let Some(words) = self.placed.words(index)
            && words[COOKIE].load(Ordering::Acquire) == flow.cookie
        {
            // The upper half; the incarnation below it is compared with it, so that the record of
            // a socket that takes the place right now is most likely not touched.
            let phase = u64::from(flow.phase) << 32;
            let seen = u64::from(flow.incarnation);
            let _ = words[PHASE].compare_exchange(
                seen | phase,
                seen,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            return;
        }
        if self.moved.get(&flow.cookie, 0).is_ok() {
            /// `BPF_EXIST`: where the socket was closed meanwhile, nothing is left behind.
            const EXIST: u64 = 2;
            let _ = self.moved.insert(flow.cookie, Raw(Flow { phase: 0, ..*flow }), EXIST);
        }
    }

    fn cookie(&self, index: u32) -> u64 {
        let word = self.placed.words(index).and_then(|words| words.get(COOKIE));
        word.map_or(0, |word: &AtomicU64| word.load(Ordering::Acquire))
    }
}
