//! What connected sockets were told, as the kernel's programs noted it.

use std::path::Path;

use aya::maps::{HashMap, MapData};
use etm_abi::{FLOW_CLOSED, Flow};

use crate::{
    error::MapError,
    maps::{Mapped, Raw, call, open_map},
};

const MOVED: &str = "FLOWS_MOVED";

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
        let map = Mapped::<Flow>::open(set, "FLOWS")?;
        let places = || (0..map.len()).filter_map(|index| map.get(index));
        let moved: HashMap<MapData, u64, Raw<Flow>> =
            open_map(set, MOVED)?.try_into().map_err(call(MOVED))?;
        Ok(Self {
            placed: places()
                .filter(|flow| flow.cookie != 0 && flow.cookie & FLOW_CLOSED == 0)
                .collect(),
            moved: moved
                .iter()
                .map(|entry| entry.map(|(_, Raw(flow))| flow).map_err(call(MOVED)))
                .collect::<Result<_, _>>()?,
            moved_by_places: places().map(|flow| flow.moved).sum(),
        })
    }
}
