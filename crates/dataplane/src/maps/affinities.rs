use std::path::Path;

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{Address, Affinity, AffinityKey};

use crate::{
    error::MapError,
    maps::{Raw, call, open_map},
};

/// `AFFINITY`: which member a client stays with.
pub(crate) struct Affinities(HashMap<MapData, Raw<AffinityKey>, Raw<Affinity>>);

const NAME: &str = "AFFINITY";

impl Affinities {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self(open_map(directory, NAME)?.try_into().map_err(call(NAME))?))
    }

    /// What is remembered of a client of a Service port. A look from user space does not make the
    /// entry younger in the order of eviction.
    pub(crate) fn get(&self, service: u32, client: Address) -> Result<Option<Affinity>, MapError> {
        match self.0.get(&Raw(AffinityKey { service, client }), 0) {
            Ok(Raw(affinity)) => Ok(Some(affinity)),
            Err(AyaError::KeyNotFound) => Ok(None),
            Err(error) => Err(call(NAME)(error)),
        }
    }
}
