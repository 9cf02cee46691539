use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use etm_abi::{ABI_VERSION, Counter, Frontend, Outcomes};
use etm_model::{Caller, Contents, FrontendKey, IpNet};

use crate::{
    contents::contents,
    error::{MapError, OpenError},
    flows::Flows,
    live::Live,
    maps::{Maps, Reason},
    pin::{serving, version},
    stats::{MapUsage, ProgramUsage, map_usage, program_usage},
    sys,
};

/// The data path as anyone may read it, whether or not its agent runs.
pub struct View {
    pin: PathBuf,
    set: PathBuf,
    maps: Maps,
}

impl View {
    /// Opens the maps that the attached programs use.
    ///
    /// # Errors
    ///
    /// [`OpenError::Absent`] where nothing is pinned, [`OpenError::Permission`] where this user may
    /// not read it, [`OpenError::Version`] where another version made the maps.
    pub fn open(pin: &Path) -> Result<Self, OpenError> {
        let absent = || OpenError::Absent { path: pin.to_owned() };
        match std::fs::metadata(pin) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(OpenError::Permission);
            }
            Err(_) => return Err(absent()),
            Ok(_) => {}
        }
        let set = serving(pin)?.ok_or_else(absent)?;
        let meta = sys::object_get(&set.join("META"));
        if meta.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return Err(OpenError::Permission);
        }
        let found = version(&set).ok_or_else(absent)?;
        if found != ABI_VERSION {
            return Err(OpenError::Version { path: pin.to_owned(), found, expected: ABI_VERSION });
        }
        let maps = Maps::open(&set)?;
        Ok(Self { pin: pin.to_owned(), set, maps })
    }

    /// Reads what the maps hold.
    ///
    /// # Errors
    ///
    /// Where a map cannot be read.
    pub fn contents(&self) -> Result<Contents, MapError> {
        contents(&self.maps)
    }

    /// Reads one frontend; none where the maps have no such address, port and protocol.
    #[must_use]
    pub fn frontend(&self, key: &FrontendKey) -> Option<Frontend> {
        self.maps.frontends.get(key)
    }

    /// Every frontend.
    #[must_use]
    pub fn frontends(&self) -> BTreeMap<FrontendKey, Frontend> {
        self.maps.frontends.all()
    }

    /// Names of Service ports, `namespace/name:port/TCP`, by the id that frontends have.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn service_names(&self) -> Result<BTreeMap<u32, String>, MapError> {
        self.maps.service_names.all()
    }

    /// Name of a Service port by the id that its frontends have; none where it has none.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn service_name(&self, id: u32) -> Result<Option<String>, MapError> {
        self.maps.service_names.get(id)
    }

    /// `namespace/pod` of a backend; none where no Pod is known.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn backend_name(&self, id: u32) -> Result<Option<String>, MapError> {
        Ok(self.maps.backend_names.get(id)?.filter(|name| !name.is_empty()))
    }

    /// From where a frontend that is not for everyone may be called.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn sources(&self, key: &FrontendKey) -> Result<BTreeSet<IpNet>, MapError> {
        Ok(self.maps.sources.all()?.remove(key).unwrap_or_default())
    }

    /// What the programs read when they decide.
    #[must_use]
    pub fn live(&self) -> Live<'_> {
        Live::new(&self.maps)
    }

    /// Every Pod that calls are known to come from, by the id of its cgroup.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn callers(&self) -> Result<BTreeMap<u64, Caller>, MapError> {
        self.maps.callers.all()
    }

    /// Every counter, summed over the CPUs.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>, MapError> {
        self.maps.counters.all()
    }

    /// How many open sockets a backend has of those that were given to it by load, by its id; none
    /// where there is no such id.
    #[must_use]
    pub fn connections(&self, backend: u32) -> Option<i64> {
        self.maps.connections.get(backend).map(u64::cast_signed)
    }

    /// What became of the connections to a backend, by its id; none where there is no such id.
    #[must_use]
    pub fn outcomes(&self, backend: u32) -> Option<Outcomes> {
        self.maps.outcomes.get(backend)
    }

    /// What speaks against each backend, as the agent last said, by its id.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn reasons(&self) -> Result<BTreeMap<u32, Reason>, MapError> {
        self.maps.reasons.all()
    }

    /// What connected sockets were told.
    ///
    /// # Errors
    ///
    /// Where a map cannot be read.
    pub fn flows(&self) -> Result<Flows, MapError> {
        Flows::read(&self.set)
    }

    /// Kernel memory of each map.
    ///
    /// # Errors
    ///
    /// Where a map cannot be inspected.
    pub fn map_usage(&self) -> Result<Vec<MapUsage>, MapError> {
        map_usage(&self.set)
    }

    /// Size and run time of each attached program.
    ///
    /// # Errors
    ///
    /// Where a link cannot be inspected.
    pub fn program_usage(&self) -> io::Result<Vec<ProgramUsage>> {
        program_usage(&self.pin)
    }
}
