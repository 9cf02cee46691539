//! `SERVICES4` and `SERVICES6` as one map.

mod cells;
mod family;
mod resting;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path, time::Instant};

use etm_abi::{Frontend, ServiceCell4, ServiceCell6, ServiceKey4, ServiceKey6};
use etm_model::FrontendKey;

use self::family::Family;
use crate::{
    error::MapError,
    maps::encode::{Key, frontend4, frontend6, key},
};

/// Every frontend of both families.
pub(crate) struct Frontends {
    v4: Family<ServiceCell4, 1>,
    v6: Family<ServiceCell6, 3>,
}

const V4: &str = "SERVICES4";
const V6: &str = "SERVICES6";

impl Frontends {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self { v4: Family::open(directory, V4)?, v6: Family::open(directory, V6)? })
    }

    /// How many frontends each family can hold; the arrays have two cells for each.
    pub(crate) const fn limit(&self) -> u32 {
        self.v4.len() / 2
    }

    /// Replaces a frontend as a whole: callers are led by the old one or by the new one.
    pub(crate) fn set(&mut self, frontend: &FrontendKey, value: &Frontend) -> Result<(), MapError> {
        let now = Instant::now();
        let (done, name) = match key(frontend) {
            Some(Key::V4(key)) => (self.v4.set(key.hash(), key.0, value, now)?, V4),
            Some(Key::V6(key)) => (self.v6.set(key.hash(), key.0, value, now)?, V6),
            None => return Ok(()),
        };
        if done { Ok(()) } else { Err(MapError::Crowded { name, key: *frontend }) }
    }

    /// Removes a frontend; one that is not there is as good as removed.
    pub(crate) fn remove(&mut self, frontend: &FrontendKey) {
        let now = Instant::now();
        match key(frontend) {
            Some(Key::V4(key)) => self.v4.remove(key.hash(), key.0, now),
            Some(Key::V6(key)) => self.v6.remove(key.hash(), key.0, now),
            None => {}
        }
    }

    /// Reads one frontend.
    pub(crate) fn get(&self, frontend: &FrontendKey) -> Option<Frontend> {
        match key(frontend)? {
            Key::V4(key) => self.v4.get(key.hash(), key.0),
            Key::V6(key) => self.v6.get(key.hash(), key.0),
        }
    }

    /// Reads every frontend.
    pub(crate) fn all(&self) -> BTreeMap<FrontendKey, Frontend> {
        let v4 = self.v4.all().map(|(key, value)| (frontend4(ServiceKey4(key)), value));
        let v6 = self.v6.all().map(|(key, value)| (frontend6(ServiceKey6(key)), value));
        v4.chain(v6).filter_map(|(key, value)| Some((key?, value))).collect()
    }
}
