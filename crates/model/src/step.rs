//! What the kernel's maps hold, and the single writes that change it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_abi as abi;
use ipnet::IpNet;

use crate::{balance::TableBalance, plan::FrontendKey, route_table::RouteTable};

/// What the kernel's maps hold, as read back.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Frontends.
    pub frontends: BTreeMap<FrontendKey, abi::Frontend>,
    /// The slots of each frontend's table, and of each that its route leads to, by
    /// `(table, members)`; tables outside of the array are missing.
    pub tables: BTreeMap<(u32, u32), Vec<u32>>,
    /// What those tables have besides the ids whose frontends have `FRONTEND_BALANCED`, by table;
    /// where it is outside of the array it is missing.
    pub balances: BTreeMap<u32, TableBalance>,
    /// Routes by first line, of those frontends that have `FRONTEND_ROUTED`; one that is not whole is
    /// missing.
    pub routes: BTreeMap<u32, RouteTable>,
    /// Backends that are not free, by id.
    pub backends: BTreeMap<u32, abi::Backend>,
    /// Text of `BACKEND_NAMES`, by backend id.
    pub backend_names: BTreeMap<u32, String>,
    /// Text of `SERVICE_NAMES`, by service id.
    pub service_names: BTreeMap<u32, String>,
    /// From where frontends that are not for everyone may be called.
    pub sources: BTreeMap<FrontendKey, BTreeSet<IpNet>>,
}

impl Contents {
    /// The tables that a frontend leads to, by itself or through its route; none through one that is
    /// not whole.
    #[must_use]
    pub fn targets(&self, frontend: &abi::Frontend) -> Vec<abi::Target> {
        if frontend.flags & abi::FRONTEND_ROUTED == 0 {
            return vec![frontend.target()];
        }
        self.routes.get(&frontend.table).map(|route| route.targets().collect()).unwrap_or_default()
    }

    /// The ids of a table's members; empty for one that is outside of the array.
    #[must_use]
    pub fn members(&self, target: abi::Target) -> &[u32] {
        let table = self.tables.get(&(target.table(), target.members()));
        table.map(Vec::as_slice).unwrap_or_default()
    }

    /// What a table has besides the ids of its members; none where they are drawn evenly.
    #[must_use]
    pub fn balance(&self, target: abi::Target) -> Option<&TableBalance> {
        let balanced = target.flags() & abi::FRONTEND_BALANCED != 0;
        self.balances.get(&target.table()).filter(|_| balanced)
    }
}

/// How much the kernel's maps can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frontends of each family.
    pub frontends: u32,
    /// Backends.
    pub backends: u32,
    /// Slots.
    pub slots: u32,
    /// Lines of routes.
    pub routes: u32,
}

impl Limits {
    /// Names of Service ports: every frontend of either family may bear a name of its own, and as
    /// many may wait for their grace to pass.
    #[must_use]
    pub const fn names(&self) -> u32 {
        self.frontends.saturating_mul(4)
    }
}

/// One write. A list of steps is applied in order; after each of them every frontend, also one
/// read just before the steps began, leads to a complete table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a record of `BACKENDS`.
    SetBackend {
        /// Its index.
        id: u32,
        /// What to write.
        backend: abi::Backend,
    },
    /// Write, or with none remove, an entry of `BACKEND_NAMES`.
    NameBackend {
        /// Backend id.
        id: u32,
        /// `namespace/pod`.
        name: Option<Arc<str>>,
    },
    /// Write, or with none remove, an entry of `SERVICE_NAMES`.
    NameService {
        /// Service id.
        id: u32,
        /// `namespace/name:port/TCP`.
        name: Option<Arc<str>>,
    },
    /// Write consecutive slots of `SLOTS`.
    SetSlots {
        /// The first one.
        first: u32,
        /// Backend ids.
        backends: Vec<u32>,
    },
    /// Write consecutive words of `SLOTS`.
    SetWords {
        /// The first one.
        first: u32,
        /// The words.
        words: Arc<[u64]>,
    },
    /// Write consecutive words of `ROUTES`.
    SetRoute {
        /// The first one.
        first: u32,
        /// The words.
        words: Arc<[u64]>,
    },
    /// Write an entry of `SOURCES`.
    AddSource {
        /// The frontend.
        frontend: FrontendKey,
        /// From where it may be called.
        source: IpNet,
    },
    /// Remove an entry of `SOURCES`.
    RemoveSource {
        /// The frontend.
        frontend: FrontendKey,
        /// From where it may no longer be called.
        source: IpNet,
    },
    /// Write an entry of `SERVICES4` or `SERVICES6`.
    SetFrontend {
        /// Its key.
        key: FrontendKey,
        /// What to write.
        frontend: abi::Frontend,
    },
    /// Remove an entry of `SERVICES4` or `SERVICES6`.
    RemoveFrontend {
        /// Its key.
        key: FrontendKey,
    },
}
