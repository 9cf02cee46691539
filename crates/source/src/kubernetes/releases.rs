//! Releases: for agents what they route, for the controller all of them.

use etm_api::{RELEASE_COMMAND, ReleaseCommand, ReleaseSpec, ReleaseStatus, UncheckedRelease};
use etm_model::{ObjectName, Route, Timestamp};
use kube::ResourceExt as _;

use super::{
    kind::{Batch, Kind},
    one_kind::{Alone, KindUpdate},
    routes::turn,
    statistics::Watched,
};
use crate::convert::{self, Converted, Routes};

/// What releases route; beside what else is followed of them, by a watch of its own.
pub(super) struct Releases<const BESIDE: bool = false>;

impl<const BESIDE: bool> Kind for Releases<BESIDE> {
    const WATCHED: Watched = if BESIDE { Watched::ReleaseRoutes } else { Watched::Releases };
    const MAY_LACK: bool = true;
    type Object = UncheckedRelease;
    type Model = Routes;
    /// All that is routed: most writes of a status change nothing of it.
    type Told = Routes;

    fn convert(object: &UncheckedRelease) -> Converted<Routes> {
        convert::release(object)
    }

    fn told(model: &Routes) -> Routes {
        model.clone()
    }

    fn set(model: Routes, before: Option<Routes>, batch: &mut Batch) {
        let before = before.map(|before| before.routes).unwrap_or_default();
        turn(&model.owner, &before, model.routes, batch);
    }

    fn remove(_name: &ObjectName, told: Routes, batch: &mut Batch) {
        turn(&told.owner, &told.routes, Vec::new(), batch);
    }
}

/// A `Release` as the API server has it, for whoever writes its status.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedRelease {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.uid`: another release of the same name is another one.
    pub uid: String,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`: which spec it is.
    pub generation: Option<i64>,
    /// Its spec, or field and reason of what is wrong with it.
    pub spec: Result<ReleaseSpec, (String, String)>,
    /// Its status, or field and reason where that cannot be read.
    pub status: Result<ReleaseStatus, (String, String)>,
    /// What somebody asks of it, or why that cannot be read.
    pub command: Option<Result<ReleaseCommand, String>>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl ObservedRelease {
    /// What it routes, as agents read it; nothing where its status cannot be read.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let Ok(status) = &self.status else { return Vec::new() };
        convert::release_routed(&self.name, self.created, status, || self.spec.clone().ok())
    }

    /// What an object says.
    #[must_use]
    pub fn of(object: &UncheckedRelease) -> Self {
        let command = object.annotations().get(RELEASE_COMMAND);
        let read = |text: &String| serde_json::from_str(text).map_err(|error| error.to_string());
        Self {
            name: ObjectName::new(object.namespace().unwrap_or_default(), object.name_any()),
            uid: object.uid().unwrap_or_default(),
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
            version: object.resource_version().unwrap_or_default(),
            generation: object.metadata.generation,
            spec: convert::release_spec(object),
            status: convert::release_status(object),
            command: command.map(read),
            deleting: object.metadata.deletion_timestamp.is_some(),
        }
    }
}

pub(super) struct ObservedReleases;

impl Kind for ObservedReleases {
    const WATCHED: Watched = Watched::Releases;
    const MAY_LACK: bool = true;
    type Object = UncheckedRelease;
    type Model = ObservedRelease;
    type Told = ();

    fn convert(object: &UncheckedRelease) -> Converted<ObservedRelease> {
        let observed = ObservedRelease::of(object);
        let created = observed.created;
        // What is wrong with it is in the object: to write it down is what it is for.
        Converted {
            object: Some(observed),
            created,
            proxy: None,
            problems: Vec::new(),
            stays: None,
        }
    }

    fn told(_model: &ObservedRelease) -> Self::Told {}

    fn set(model: ObservedRelease, _before: Option<()>, batch: &mut Batch) {
        batch.releases.push((model.name.clone(), Some(model)));
    }

    fn remove(name: &ObjectName, (): (), batch: &mut Batch) {
        batch.releases.push((name.clone(), None));
    }
}

/// A release that changed; none of one that is gone.
type Changed = (ObjectName, Option<ObservedRelease>);

/// What became of releases.
pub type ReleaseUpdate = KindUpdate<Changed>;

impl Alone for ObservedReleases {
    type Change = Changed;

    fn changes(batch: &mut Batch) -> &mut Vec<Changed> {
        &mut batch.releases
    }
}
