use etm_api::{ReleaseCommand, ReleaseSpec, ReleaseStatus};
use etm_model::ObjectName;

use crate::judge::Verdict;

/// All that the next status of a release depends on, but for the time.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Its name.
    pub name: &'a ObjectName,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Its spec as it is now, or field and reason of what is wrong with it.
    pub spec: Result<&'a ReleaseSpec, (String, String)>,
    /// Its status as it was read.
    pub status: &'a ReleaseStatus,
    /// What somebody asks of it, done or not.
    pub command: Option<&'a ReleaseCommand>,
    /// Another release that holds one of its Services, in words.
    pub holder: Option<String>,
    /// Whether its versions are there.
    pub versions: Versions,
    /// Whether its routes count.
    pub routing: Routing,
    /// What the analysis of the step that it is at says.
    pub verdict: Verdict,
}

/// What becomes of the routes of a release, as its status has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// Nothing is routed, or it is not known yet what became of it.
    #[default]
    Unknown,
    /// That of each Service counts: in words.
    Counts(String),
    /// That of one does not, or leads nowhere.
    Fails {
        /// Why, as conditions have it.
        reason: String,
        /// What speaks against it, and the way out.
        message: String,
    },
}

/// Whether each version is there, of all Services of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The stable one.
    pub stable: Presence,
    /// The new one.
    pub new: Presence,
}

/// Whether a version is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It is not known, for now.
    #[default]
    Unknown,
    /// Each Service has a ready Pod of it.
    Present,
    /// One has none: which one, in words.
    Absent(String),
}

impl Presence {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}
