use std::{collections::BTreeMap, path::Path};

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{BACKEND_NAME_LEN, BackendName, SERVICE_NAME_LEN, ServiceName};

use crate::{
    error::MapError,
    maps::{Raw, call, open_map},
};

/// Cuts a text to the bytes of a name, at a character's boundary.
pub(super) fn fit<const N: usize>(text: &str) -> [u8; N] {
    let mut end = text.len().min(N);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = [0; N];
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}

pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

macro_rules! names {
    ($(#[$doc:meta])* $wrapper:ident, $map:literal, $value:ident, $len:ident) => {
        $(#[$doc])*
        pub(crate) struct $wrapper(HashMap<MapData, u32, Raw<$value>>);

        impl $wrapper {
            pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
                Ok(Self(open_map(directory, $map)?.try_into().map_err(call($map))?))
            }

            /// Names an id, or with none takes its name away.
            pub(crate) fn set(&mut self, id: u32, name: Option<&str>) -> Result<(), MapError> {
                let result = match name {
                    Some(name) => {
                        self.0.insert(id, Raw($value { text: fit::<$len>(name) }), 0)
                    }
                    None => match self.0.remove(&id) {
                        Err(AyaError::KeyNotFound) => Ok(()),
                        other => other,
                    },
                };
                result.map_err(call($map))
            }

            /// The name of an id; none where it has none.
            pub(crate) fn get(&self, id: u32) -> Result<Option<String>, MapError> {
                match self.0.get(&id, 0) {
                    Ok(Raw(name)) => Ok(Some(text(&name.text))),
                    Err(AyaError::KeyNotFound) => Ok(None),
                    Err(error) => Err(call($map)(error)),
                }
            }

            /// Every name, by id.
            pub(crate) fn all(&self) -> Result<BTreeMap<u32, String>, MapError> {
                self.0
                    .iter()
                    .map(|entry| {
                        entry.map(|(id, Raw(name))| (id, text(&name.text))).map_err(call($map))
                    })
                    .collect()
            }
        }
    };
}

names!(
    /// `SERVICE_NAMES`.
    ServiceNames,
    "SERVICE_NAMES",
    ServiceName,
    SERVICE_NAME_LEN
);
names!(
    /// `BACKEND_NAMES`.
    BackendNames,
    "BACKEND_NAMES",
    BackendName,
    BACKEND_NAME_LEN
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let bytes = fit::<4>("abcä");
        assert_eq!(text(&bytes), "abc");
    }

    #[test]
    fn a_name_that_fills_its_field_is_read_whole() {
        assert_eq!(text(&fit::<4>("abcd")), "abcd");
    }
}
