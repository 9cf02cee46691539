use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use etm_abi::{ABI_VERSION, LINE_WORDS, Meta, Outcomes};
use etm_model::{Caller, Contents, Limits, Step};

use crate::{
    attach::{Attached, attach},
    contents::{contents, pairs},
    error::{ApplyError, AttachError, MapError, OpenError},
    kernel::{is_cgroup2, may_load},
    maps::{Counters, Events, Maps},
    object::{Programs, Settings},
    pin::{PinDirectory, serving, version},
};

/// What the data path is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cgroup v2 directory whose processes are covered.
    pub cgroup: PathBuf,
    /// The directory in bpffs that holds links and maps.
    pub pin: PathBuf,
    /// Sizes of the maps.
    pub limits: Limits,
    /// How many clients of Services with `sessionAffinity: ClientIP` are remembered.
    pub clients: u32,
    /// Whether ports that a Service does not have are refused.
    pub refuse_unknown_port: bool,
    /// Cookie of the network namespace whose loopback serves node ports; 0 for none.
    pub node_netns: u64,
}

/// The data path, as its one writer has it. Dropping it changes nothing in the kernel.
pub struct Dataplane {
    config: Config,
    pins: PinDirectory,
    set: PathBuf,
    /// Whether it was made by this start, and no program that is attached works on it.
    fresh: bool,
    settings: Settings,
    programs: Programs,
    pub(crate) maps: Maps,
}

impl Dataplane {
    /// Locks the pin directory, adopts or makes the maps, and loads the programs, which begin to
    /// work with [`Self::attach`]: programs that are attached already go on serving meanwhile.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what is missing and how to get it.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        if !may_load() {
            return Err(OpenError::Permission);
        }
        if !is_cgroup2(&config.cgroup) {
            return Err(OpenError::NotCgroup2 { path: config.cgroup });
        }
        let pins = PinDirectory::create(&config.pin)?;
        let set = pins.choose_set(&config.limits, config.clients)?;
        let fresh = version(&set).is_none();
        let settings = Settings::new(&config);
        let loaded = Programs::load(&set, &config, &settings)
            .and_then(|programs| Ok((programs, Maps::open(&set)?)));
        let (programs, mut maps) = loaded.inspect_err(|_| pins.abandon(&set))?;
        let meta = maps.meta.get(0).unwrap_or_default();
        maps.meta.set(0, Meta { abi_version: ABI_VERSION, ..meta });
        Ok(Self { config, pins, set, fresh, settings, programs, maps })
    }

    /// Undoes [`Self::open`] where nothing is to follow it: maps that were made for it go.
    pub fn abandon(mut self) {
        if self.fresh {
            self.maps.meta.set(0, Meta::default());
            self.pins.abandon(&self.set);
        }
    }

    /// Attaches the programs, or replaces those of another build, each without a gap; then removes
    /// maps that nothing uses any more. Call it when the maps hold what they must.
    ///
    /// # Errors
    ///
    /// [`AttachError`] names the hook; hooks before it are attached, and a later call goes on.
    pub fn attach(&mut self) -> Result<Attached, AttachError> {
        self.fresh = false;
        let digest = self.settings.digest();
        let meta = self.maps.meta.get(0).unwrap_or_default();
        let attached =
            attach(&self.pins, &self.config.cgroup, &self.programs, meta.build == digest)?;
        self.maps.meta.set(0, Meta { build: digest, ..meta });
        self.pins.remove_other_sets(&self.set).map_err(|error| AttachError::Pin {
            path: self.pins.path().to_owned(),
            source: std::io::Error::other(error),
        })?;
        Ok(attached)
    }

    /// Reads back what the maps hold.
    ///
    /// # Errors
    ///
    /// Where a map cannot be read.
    pub fn contents(&self) -> Result<Contents, MapError> {
        contents(&self.maps)
    }

    /// Reads what the maps hold that these are to take the place of, and their sizes; none where
    /// there are no others of this layout.
    ///
    /// # Errors
    ///
    /// Where a map cannot be read.
    pub fn predecessor(&self) -> Result<Option<(Contents, Limits)>, OpenError> {
        match serving(self.pins.path())? {
            Some(set) if set != self.set && version(&set) == Some(ABI_VERSION) => {
                let maps = Maps::open(&set)?;
                Ok(Some((contents(&maps)?, limits(&maps))))
            }
            _ => Ok(None),
        }
    }

    /// Sizes of the maps.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.config.limits
    }

    /// Highest generation of a table that was noted.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.maps.meta.get(0).unwrap_or_default().generation
    }

    /// Notes the highest generation that the next steps use.
    pub fn note_generation(&mut self, generation: u32) {
        let meta = self.maps.meta.get(0).unwrap_or_default();
        if meta.generation != generation {
            self.maps.meta.set(0, Meta { generation, ..meta });
        }
    }

    /// Writes steps in order.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] at the first step that fails; what was written before it stays, and is as
    /// consistent as every other moment between two steps.
    pub fn apply(&mut self, steps: &[Step]) -> Result<(), ApplyError> {
        for (step, what) in steps.iter().enumerate() {
            self.write(what).map_err(|source| ApplyError { step, steps: steps.len(), source })?;
        }
        Ok(())
    }

    fn write(&mut self, step: &Step) -> Result<(), MapError> {
        let within = match step {
            Step::SetBackend { id, backend } => {
                // Sockets of whoever had the record before are no longer counted out.
                self.maps.backends.set(*id, *backend)
                    && self.maps.connections.set(*id, 0)
                    && self.maps.outcomes.set(*id, Outcomes::default())
            }
            Step::SetSlots { first, backends } => {
                let elements = first / 2..;
                elements.zip(pairs(backends)).all(|(index, pair)| self.maps.slots.set(index, pair))
            }
            Step::SetWords { first, words } => {
                let mut elements = (*first..).zip(words.iter());
                elements.all(|(index, word)| self.maps.slots.set(index, *word))
            }
            Step::SetRoute { first, words } => {
                let mut elements = (*first..).zip(words.iter());
                elements.all(|(index, word)| self.maps.routes.set(index, *word))
            }
            Step::NameBackend { id, name } => {
                return self.maps.backend_names.set(*id, name.as_deref());
            }
            Step::NameService { id, name } => {
                return self.maps.service_names.set(*id, name.as_deref());
            }
            Step::AddSource { frontend, source } => {
                return self.maps.sources.add(frontend, *source);
            }
            Step::RemoveSource { frontend, source } => {
                return self.maps.sources.remove(frontend, *source);
            }
            Step::SetFrontend { key, frontend } => {
                return self.maps.frontends.set(key, frontend);
            }
            Step::RemoveFrontend { key } => {
                self.maps.frontends.remove(key);
                return Ok(());
            }
        };
        let name = match step {
            Step::SetBackend { .. } => "BACKENDS",
            Step::SetRoute { .. } => "ROUTES",
            _ => "SLOTS",
        };
        if within { Ok(()) } else { Err(MapError::Missing { name }) }
    }

    /// Writes, or with none removes, what is known of the Pod whose cgroup has this id.
    ///
    /// # Errors
    ///
    /// Where the map is full or cannot be written.
    pub fn set_caller(&mut self, cgroup: u64, caller: Option<&Caller>) -> Result<(), MapError> {
        self.maps.callers.set(cgroup, caller)
    }

    /// Every Pod that calls are known to come from, by the id of its cgroup.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn callers(&self) -> Result<BTreeMap<u64, Caller>, MapError> {
        self.maps.callers.all()
    }

    /// The counters, for whoever reads them beside the writer.
    ///
    /// # Errors
    ///
    /// Where the map cannot be opened.
    pub fn counters(&self) -> Result<Counters, MapError> {
        Counters::open(&self.set)
    }

    pub(crate) fn set(&self) -> &Path {
        &self.set
    }

    /// The stream of refusals.
    ///
    /// # Errors
    ///
    /// Where the ring buffer cannot be mapped.
    pub fn events(&self) -> Result<Events, MapError> {
        Events::open(&self.set)
    }

    /// Whether refused callers see the errno of the Service; on kernels before 5.18 they see EPERM.
    #[must_use]
    pub const fn has_errno(&self) -> bool {
        self.settings.has_errno()
    }

    /// The pin directory.
    #[must_use]
    pub fn pin(&self) -> &Path {
        self.pins.path()
    }
}

const fn limits(maps: &Maps) -> Limits {
    Limits {
        frontends: maps.frontends.limit(),
        backends: maps.backends.len(),
        slots: maps.slots.len().saturating_mul(2),
        routes: maps.routes.len() / LINE_WORDS,
    }
}
