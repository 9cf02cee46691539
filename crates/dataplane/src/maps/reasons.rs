use std::{collections::BTreeMap, path::Path, time::Duration};

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{BackendReason, REASON_LEN};

use crate::{
    error::MapError,
    maps::{
        Raw, call,
        names::{fit, text},
        open_map,
    },
};

const NAME: &str = "REASONS";

/// What speaks against a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Since when, in the time of [`crate::monotonic`].
    pub since: Duration,
    /// One line; what does not fit into the map is cut off.
    pub text: String,
}

/// `REASONS`.
pub(crate) struct Reasons(HashMap<MapData, u32, Raw<BackendReason>>);

impl Reasons {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self(open_map(directory, NAME)?.try_into().map_err(call(NAME))?))
    }

    /// Writes what speaks against a backend, or with none that nothing does.
    pub(crate) fn set(&mut self, id: u32, reason: Option<&Reason>) -> Result<(), MapError> {
        let result = match reason {
            Some(reason) => {
                let since = u64::try_from(reason.since.as_nanos()).unwrap_or(u64::MAX);
                let value = BackendReason { since, text: fit::<REASON_LEN>(&reason.text) };
                self.0.insert(id, Raw(value), 0)
            }
            None => match self.0.remove(&id) {
                Err(AyaError::KeyNotFound) => Ok(()),
                other => other,
            },
        };
        result.map_err(call(NAME))
    }

    /// What speaks against each backend, by its id.
    pub(crate) fn all(&self) -> Result<BTreeMap<u32, Reason>, MapError> {
        let reason = |value: BackendReason| Reason {
            since: Duration::from_nanos(value.since),
            text: text(&value.text),
        };
        self.0
            .iter()
            .map(|entry| entry.map(|(id, Raw(value))| (id, reason(value))).map_err(call(NAME)))
            .collect()
    }
}
