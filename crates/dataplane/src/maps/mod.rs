//! The pinned maps, one wrapper each, in the model's terms.

mod affinities;
mod callers;
mod counters;
mod encode;
mod events;
mod frontends;
mod mapped;
mod names;
mod raw;
mod reasons;
mod sources;

use std::path::Path;

use aya::maps::{Map, MapData};
use etm_abi::{Backend, HealthPolicy, LINE_WORDS, Meta, Outcomes};

pub(crate) use affinities::Affinities;
pub(crate) use callers::Callers;
pub use counters::Counters;
pub use events::{Ejections, Events};
pub(crate) use frontends::Frontends;
pub(crate) use mapped::Mapped;
pub(crate) use names::Names;
pub(crate) use raw::Raw;
pub use reasons::Reason;
pub(crate) use reasons::Reasons;
pub(crate) use sources::Sources;

use crate::error::MapError;

/// Names of every map of the kernel object that is pinned.
pub(crate) const NAMES: [&str; 30] = [
    "SERVICES4",
    "SERVICES6",
    "CALLERS",
    "CALLER_CACHE",
    "CALLER_EPOCH",
    "SOURCES",
    "CHOICES",
    "SLOTS",
    "ROUTES",
    "BACKENDS",
    "CONNECTIONS",
    "OUTCOMES",
    "HEALTH",
    "BUDGETS",
    "SHUNNED",
    "EJECTIONS",
    "AFFINITY",
    "FLOWS",
    "FLOWS_MOVED",
    "MPTCP_FLOWS",
    "UDP_FLOWS",
    "UDP_REVERSE",
    "COUNTERS",
    "EVENT_TIMES",
    "RANDOM",
    "EVENTS",
    "SERVICE_NAMES",
    "BACKEND_NAMES",
    "REASONS",
    "META",
];

/// The maps that user space reads and writes.
pub(crate) struct Maps {
    pub(crate) frontends: Frontends,
    /// Its words, of which an element has several.
    pub(crate) slots: Mapped<u64>,
    /// Its words, of which an element has several.
    pub(crate) routes: Mapped<u64>,
    pub(crate) backends: Mapped<Backend>,
    pub(crate) connections: Mapped<u64>,
    pub(crate) outcomes: Mapped<Outcomes>,
    pub(crate) health: Mapped<HealthPolicy>,
    pub(crate) budgets: Mapped<u64>,
    pub(crate) affinities: Affinities,
    pub(crate) service_names: Names,
    pub(crate) backend_names: Names,
    pub(crate) reasons: Reasons,
    pub(crate) sources: Sources,
    pub(crate) callers: Callers,
    pub(crate) counters: Counters,
    pub(crate) meta: Mapped<Meta>,
}

impl Maps {
    /// Opens the maps pinned in a directory.
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self {
            frontends: Frontends::open(directory)?,
            slots: Mapped::open_parts(directory, "SLOTS", LINE_WORDS)?,
            routes: Mapped::open_parts(directory, "ROUTES", LINE_WORDS)?,
            backends: Mapped::open(directory, "BACKENDS")?,
            connections: Mapped::open(directory, "CONNECTIONS")?,
            outcomes: Mapped::open(directory, "OUTCOMES")?,
            health: Mapped::open(directory, "HEALTH")?,
            budgets: Mapped::open(directory, "BUDGETS")?,
            affinities: Affinities::open(directory)?,
            service_names: Names::of_services(directory)?,
            backend_names: Names::of_backends(directory)?,
            reasons: Reasons::open(directory)?,
            sources: Sources::open(directory)?,
            callers: Callers::open(directory)?,
            counters: Counters::open(directory)?,
            meta: open_meta(directory)?,
        })
    }
}

/// Opens `META` alone, the one map whose layout every version shares.
pub(crate) fn open_meta(directory: &Path) -> Result<Mapped<Meta>, MapError> {
    Mapped::open(directory, "META")
}

/// Opens the map pinned under a name.
pub(crate) fn open(directory: &Path, name: &'static str) -> Result<MapData, MapError> {
    MapData::from_pin(directory.join(name)).map_err(call(name))
}

/// How many entries the map pinned under a name can hold.
pub(crate) fn entries(directory: &Path, name: &'static str) -> Result<u32, MapError> {
    Ok(open(directory, name)?.info().map_err(call(name))?.max_entries())
}

pub(crate) fn open_map(directory: &Path, name: &'static str) -> Result<Map, MapError> {
    Map::from_map_data(open(directory, name)?).map_err(call(name))
}

pub(crate) fn call(name: &'static str) -> impl FnOnce(aya::maps::MapError) -> MapError {
    move |source| MapError::Call { name, source: Box::new(source) }
}
