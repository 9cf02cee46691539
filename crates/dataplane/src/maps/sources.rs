use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use aya::maps::{MapData, MapError as AyaError, lpm_trie};
use etm_abi::{Address, SOURCE_FRONTEND_BITS, SourceKey};
use etm_model::{FrontendKey, from_abi, to_abi};
use ipnet::IpNet;

use crate::{
    error::MapError,
    maps::{
        Raw, call,
        encode::{source_frontend, source_key},
        open_map,
    },
};

/// `SOURCES`: from where frontends that are not for everyone may be called.
pub(crate) struct Sources(lpm_trie::LpmTrie<MapData, Raw<SourceKey>, u32>);

type Key = lpm_trie::Key<Raw<SourceKey>>;

const NAME: &str = "SOURCES";

/// Bits of a whole key.
const KEY_BITS: u32 = size_of::<SourceKey>() as u32 * 8;

/// Bits before an IPv4 address in its mapped form.
const MAPPED_BITS: u32 = 96;

impl Sources {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self(open_map(directory, NAME)?.try_into().map_err(call(NAME))?))
    }

    pub(crate) fn add(&mut self, frontend: &FrontendKey, source: IpNet) -> Result<(), MapError> {
        let Some(key) = key(frontend, source) else { return Ok(()) };
        self.0.insert(&key, 0, 0).map_err(call(NAME))
    }

    /// Removes a range; one that is not there is as good as removed.
    pub(crate) fn remove(&mut self, frontend: &FrontendKey, source: IpNet) -> Result<(), MapError> {
        let Some(key) = key(frontend, source) else { return Ok(()) };
        match self.0.remove(&key) {
            Err(AyaError::KeyNotFound) => Ok(()),
            other => other.map_err(call(NAME)),
        }
    }

    /// Whether an address is in a range of a frontend, by the look-up that the programs make.
    pub(crate) fn admits(&self, frontend: &FrontendKey, source: Address) -> Result<bool, MapError> {
        let Some(data) = source_key(frontend, source) else { return Ok(false) };
        match self.0.get(&Key::new(KEY_BITS, Raw(data)), 0) {
            Ok(_) => Ok(true),
            Err(AyaError::KeyNotFound) => Ok(false),
            Err(error) => Err(call(NAME)(error)),
        }
    }

    /// Every range, by frontend.
    pub(crate) fn all(&self) -> Result<BTreeMap<FrontendKey, BTreeSet<IpNet>>, MapError> {
        let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for key in self.0.keys() {
            let key = key.map_err(call(NAME))?;
            let Raw(data) = key.data();
            if let Some(frontend) = source_frontend(&data)
                && let Some(net) = net(key.prefix_len(), &data.source)
            {
                all.entry(frontend).or_default().insert(net);
            }
        }
        Ok(all)
    }
}

fn key(frontend: &FrontendKey, source: IpNet) -> Option<Key> {
    let before = match source {
        IpNet::V4(_) => SOURCE_FRONTEND_BITS + MAPPED_BITS,
        IpNet::V6(_) => SOURCE_FRONTEND_BITS,
    };
    let data = source_key(frontend, to_abi(source.network()))?;
    Some(Key::new(before + u32::from(source.prefix_len()), Raw(data)))
}

/// The range that a key ends with; none for a key that etm never writes.
fn net(bits: u32, source: &Address) -> Option<IpNet> {
    let bits = bits.checked_sub(SOURCE_FRONTEND_BITS)?;
    let ip = from_abi(source);
    let bits = match ip {
        IpAddr::V4(_) => bits.checked_sub(MAPPED_BITS)?,
        IpAddr::V6(_) => bits,
    };
    IpNet::new(ip, u8::try_from(bits).ok()?).ok()
}
