use std::{collections::BTreeMap, path::Path};

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{Frontend, ServiceKey4, ServiceKey6};
use etm_model::FrontendKey;

use crate::{
    error::MapError,
    maps::{
        Raw, call,
        encode::{Key, frontend4, frontend6, key},
        entries, open_map,
    },
};

/// `SERVICES4` and `SERVICES6` as one map.
pub(crate) struct Frontends {
    v4: HashMap<MapData, Raw<ServiceKey4>, Raw<Frontend>>,
    v6: HashMap<MapData, Raw<ServiceKey6>, Raw<Frontend>>,
    limit: u32,
}

const V4: &str = "SERVICES4";
const V6: &str = "SERVICES6";

impl Frontends {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        let v4: HashMap<MapData, _, _> = open_map(directory, V4)?.try_into().map_err(call(V4))?;
        let v6 = open_map(directory, V6)?.try_into().map_err(call(V6))?;
        let limit = entries(directory, V4)?;
        Ok(Self { v4, v6, limit })
    }

    /// How many frontends each family can hold.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Replaces a frontend as a whole: callers see the old one or the new one.
    pub(crate) fn set(&mut self, frontend: &FrontendKey, value: Frontend) -> Result<(), MapError> {
        match key(frontend) {
            Some(Key::V4(key)) => self.v4.insert(Raw(key), Raw(value), 0).map_err(call(V4)),
            Some(Key::V6(key)) => self.v6.insert(Raw(key), Raw(value), 0).map_err(call(V6)),
            None => Ok(()),
        }
    }

    /// Removes a frontend; one that is not there is as good as removed.
    pub(crate) fn remove(&mut self, frontend: &FrontendKey) -> Result<(), MapError> {
        let (result, name) = match key(frontend) {
            Some(Key::V4(key)) => (self.v4.remove(&Raw(key)), V4),
            Some(Key::V6(key)) => (self.v6.remove(&Raw(key)), V6),
            None => return Ok(()),
        };
        match result {
            Err(AyaError::KeyNotFound) => Ok(()),
            other => other.map_err(call(name)),
        }
    }

    /// Reads one frontend.
    pub(crate) fn get(&self, frontend: &FrontendKey) -> Result<Option<Frontend>, MapError> {
        let (result, name) = match key(frontend) {
            Some(Key::V4(key)) => (self.v4.get(&Raw(key), 0), V4),
            Some(Key::V6(key)) => (self.v6.get(&Raw(key), 0), V6),
            None => return Ok(None),
        };
        match result {
            Ok(Raw(value)) => Ok(Some(value)),
            Err(AyaError::KeyNotFound) => Ok(None),
            Err(error) => Err(call(name)(error)),
        }
    }

    /// Reads every frontend.
    pub(crate) fn all(&self) -> Result<BTreeMap<FrontendKey, Frontend>, MapError> {
        let mut all = BTreeMap::new();
        for entry in &self.v4 {
            let (Raw(key), Raw(value)) = entry.map_err(call(V4))?;
            all.extend(frontend4(&key).map(|key| (key, value)));
        }
        for entry in &self.v6 {
            let (Raw(key), Raw(value)) = entry.map_err(call(V6))?;
            all.extend(frontend6(&key).map(|key| (key, value)));
        }
        Ok(all)
    }
}
