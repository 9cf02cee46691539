use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{self as abi};
use etm_model::{Caller, from_abi, hash, to_abi};

use crate::{
    error::MapError,
    maps::{
        Mapped, Raw, call,
        names::{fit, text},
        open_map,
    },
};

/// `CALLERS`: the Pods of this node by their cgroups.
pub(crate) struct Callers {
    map: HashMap<MapData, u64, Raw<abi::Caller>>,
    /// What the programs found in it is cached under this number.
    epoch: Mapped<u64>,
}

const NAME: &str = "CALLERS";

impl Callers {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        let map = open_map(directory, NAME)?.try_into().map_err(call(NAME))?;
        Ok(Self { map, epoch: Mapped::open(directory, "CALLER_EPOCH")? })
    }

    /// Writes a caller, or with none removes it.
    pub(crate) fn set(&mut self, cgroup: u64, caller: Option<&Caller>) -> Result<(), MapError> {
        let result = match caller {
            Some(caller) => self.map.insert(cgroup, Raw(encode(caller)), 0),
            None => match self.map.remove(&cgroup) {
                Err(AyaError::KeyNotFound) => Ok(()),
                other => other,
            },
        };
        let epoch = self.epoch.get(0).unwrap_or_default();
        self.epoch.set(0, epoch.wrapping_add(1));
        result.map_err(call(NAME))
    }

    /// What the programs find under the id of a cgroup.
    pub(crate) fn record(&self, cgroup: u64) -> Result<Option<abi::Caller>, MapError> {
        match self.map.get(&cgroup, 0) {
            Ok(Raw(record)) => Ok(Some(record)),
            Err(AyaError::KeyNotFound) => Ok(None),
            Err(error) => Err(call(NAME)(error)),
        }
    }

    /// Every caller, by the id of its cgroup.
    pub(crate) fn all(&self) -> Result<BTreeMap<u64, Caller>, MapError> {
        let entries = self.map.iter();
        entries
            .map(|entry| {
                entry.map(|(cgroup, Raw(caller))| (cgroup, decode(&caller))).map_err(call(NAME))
            })
            .collect()
    }
}

fn encode(caller: &Caller) -> abi::Caller {
    let ipv4 = caller.ipv4.map_or(0, |ip| u32::from_ne_bytes(ip.octets()));
    abi::Caller {
        ipv4,
        number: caller.number.into(),
        ipv6: caller.ipv6.map_or([0; 4], |ip| to_abi(IpAddr::V6(ip))),
        pod: number(&caller.name),
        namespace: caller.name.split_once('/').map_or(0, |(namespace, _)| number(namespace)),
        name: fit(&caller.name),
        uid: fit(&caller.uid),
    }
}

/// A name as consistent hashing has it; 0 where there is none.
fn number(name: &str) -> u64 {
    if name.is_empty() { 0 } else { hash(name) }
}

fn decode(record: &abi::Caller) -> Caller {
    let ipv6 = match from_abi(&record.ipv6) {
        IpAddr::V6(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    };
    Caller {
        name: text(&record.name).into(),
        uid: text(&record.uid).into(),
        ipv4: (record.ipv4 != 0).then(|| Ipv4Addr::from(record.ipv4.to_ne_bytes())),
        ipv6,
        number: record.number.try_into().unwrap_or_default(),
    }
}
