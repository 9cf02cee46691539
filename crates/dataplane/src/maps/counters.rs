use std::{fmt, path::Path};

use aya::maps::{MapData, PerCpuArray};
use etm_abi::Counter;

use crate::{
    error::MapError,
    maps::{call, open_map},
};

/// `COUNTERS`, summed over the CPUs: how each decision of the programs ended.
pub struct Counters(PerCpuArray<MapData, u64>);

const NAME: &str = "COUNTERS";

impl Counters {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self(open_map(directory, NAME)?.try_into().map_err(call(NAME))?))
    }

    /// Every counter with its value.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn all(&self) -> Result<Vec<(Counter, u64)>, MapError> {
        Counter::ALL
            .into_iter()
            .map(|counter| {
                let cells = self.0.get(&(counter as u32), 0).map_err(call(NAME))?;
                Ok((counter, cells.iter().sum()))
            })
            .collect()
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME).finish_non_exhaustive()
    }
}
