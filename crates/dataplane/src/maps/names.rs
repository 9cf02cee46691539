//! `SERVICE_NAMES` and `BACKEND_NAMES`: texts of neighbouring ids together, so that memory grows with
//! the length of the texts and not with that of the longest one.
//!
//! A group's texts lie one after the other in as many entries as they need. Of each there is how many of
//! the first bytes it has in common with the one before (one more, so that it is no zero), the rest, and
//! a zero: Pods of one Deployment differ in a few letters. All entries of a group bear the same stamp,
//! another one after each change, by which a reader tells that he met a change half-way.

use std::{collections::BTreeMap, io, path::Path};

use aya::maps::{HashMap, MapData, MapError as AyaError};
use etm_abi::{BACKEND_NAME_LEN, NAMES_TOGETHER, NamePart, PART_BITS, PART_TEXT, SERVICE_NAME_LEN};

use crate::{
    error::MapError,
    maps::{Raw, call, open_map},
};

/// Looks at a group that is just being changed.
const ATTEMPTS: usize = 100;

/// The texts of a group, by the low bits of their ids; empty where there is none.
type Group = Vec<String>;

/// Cuts a text to the bytes of a name, at a character's boundary.
pub(super) fn fit<const N: usize>(text: &str) -> [u8; N] {
    let cut = cut(text, N).as_bytes();
    let mut bytes = [0; N];
    bytes[..cut.len()].copy_from_slice(cut);
    bytes
}

fn cut(text: &str, length: usize) -> &str {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// One of the two maps.
pub(crate) struct Names {
    map: HashMap<MapData, u32, Raw<NamePart>>,
    name: &'static str,
    /// Longest text kept, in bytes.
    longest: usize,
    /// The group that was written last, which most often the next one belongs to.
    last: Option<(u32, Group, u32)>,
}

impl Names {
    pub(crate) fn of_services(directory: &Path) -> Result<Self, MapError> {
        Self::open(directory, "SERVICE_NAMES", SERVICE_NAME_LEN)
    }

    pub(crate) fn of_backends(directory: &Path) -> Result<Self, MapError> {
        Self::open(directory, "BACKEND_NAMES", BACKEND_NAME_LEN)
    }

    fn open(directory: &Path, name: &'static str, longest: usize) -> Result<Self, MapError> {
        let map = open_map(directory, name)?.try_into().map_err(call(name))?;
        Ok(Self { map, name, longest, last: None })
    }

    /// Names an id, or with none takes its name away. Of a longer text the end is cut off.
    pub(crate) fn set(&mut self, id: u32, name: Option<&str>) -> Result<(), MapError> {
        let number = id / NAMES_TOGETHER;
        let (mut group, stamp) = match self.last.take() {
            Some((last, group, stamp)) if last == number => (group, stamp),
            _ => self.group(number)?,
        };
        group[(id % NAMES_TOGETHER) as usize] =
            cut(&name.unwrap_or_default().replace('\0', ""), self.longest).to_owned();
        let stamp = stamp.wrapping_add(1);
        self.write(number, &group, stamp).map_err(call(self.name))?;
        self.last = Some((number, group, stamp));
        Ok(())
    }

    fn write(&mut self, number: u32, group: &Group, stamp: u32) -> Result<(), AyaError> {
        let parts = parts(group, stamp);
        for (index, part) in (0..).zip(&parts) {
            self.map.insert(key(number, index), Raw(*part), 0)?;
        }
        for index in (0..1 << PART_BITS).skip(parts.len()) {
            match self.map.remove(&key(number, index)) {
                Err(AyaError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::NotFound =>
                {
                    break;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// The name of an id; none where it has none.
    pub(crate) fn get(&self, id: u32) -> Result<Option<String>, MapError> {
        let (mut group, _) = self.group(id / NAMES_TOGETHER)?;
        let name = std::mem::take(&mut group[(id % NAMES_TOGETHER) as usize]);
        Ok((!name.is_empty()).then_some(name))
    }

    /// Every name, by id.
    pub(crate) fn all(&self) -> Result<BTreeMap<u32, String>, MapError> {
        let keys = self
            .map
            .keys()
            .filter(|key| key.as_ref().map_or(true, |key| *key % (1 << PART_BITS) == 0));
        let mut names = BTreeMap::new();
        for key in keys {
            let number = key.map_err(call(self.name))? >> PART_BITS;
            let (group, _) = self.group(number)?;
            let named = (number * NAMES_TOGETHER..).zip(group);
            names.extend(named.filter(|(_, name)| !name.is_empty()));
        }
        Ok(names)
    }

    /// The texts of a group and its stamp.
    fn group(&self, number: u32) -> Result<(Group, u32), MapError> {
        let mut found = Vec::new();
        for _ in 0..ATTEMPTS {
            found = self.read(number).map_err(call(self.name))?;
            if let Some(whole) = joined(&found) {
                return Ok(whole);
            }
        }
        // Left by an agent that ended half-way; what is there is better than nothing.
        let stamp = found.first().map_or(0, |part| part.stamp);
        Ok((texts(&found), stamp))
    }

    fn read(&self, number: u32) -> Result<Vec<NamePart>, AyaError> {
        let mut parts: Vec<NamePart> = Vec::new();
        for index in 0..1 << PART_BITS {
            match self.map.get(&key(number, index), 0) {
                Ok(Raw(part)) => parts.push(part),
                Err(AyaError::KeyNotFound) => break,
                Err(error) => return Err(error),
            }
            if parts.len() >= parts[0].parts as usize {
                break;
            }
        }
        Ok(parts)
    }
}

const fn key(number: u32, part: u32) -> u32 {
    number << PART_BITS | part
}

/// The entries of a group; none where no id has a name.
fn parts(group: &Group, stamp: u32) -> Vec<NamePart> {
    if group.iter().all(String::is_empty) {
        return Vec::new();
    }
    let before = [""].into_iter().chain(group.iter().map(String::as_str));
    let bytes: Vec<u8> =
        before.zip(group).flat_map(|(before, name)| shortened(before, name)).collect();
    let chunks = bytes.chunks(PART_TEXT);
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let part = |chunk: &[u8]| {
        let mut part = NamePart { stamp, parts: count, text: [0; PART_TEXT] };
        part.text[..chunk.len()].copy_from_slice(chunk);
        part
    };
    chunks.map(part).collect()
}

/// The texts and the stamp of a group that is whole; one without entries is.
fn joined(parts: &[NamePart]) -> Option<(Group, u32)> {
    let Some(first) = parts.first() else { return Some((texts(&[]), 0)) };
    let whole = parts.len() == first.parts as usize
        && parts.iter().all(|part| (part.stamp, part.parts) == (first.stamp, first.parts));
    whole.then(|| (texts(parts), first.stamp))
}

/// A text as it is written after another one.
fn shortened(before: &str, name: &str) -> Vec<u8> {
    let same = before.bytes().zip(name.bytes()).take_while(|(before, byte)| before == byte).count();
    let same = same.min(usize::from(u8::MAX - 1));
    let mut bytes = vec![same as u8 + 1];
    bytes.extend(&name.as_bytes()[same..]);
    bytes.push(0);
    bytes
}

fn texts(parts: &[NamePart]) -> Group {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.text).collect();
    let mut before = Vec::new();
    let names = bytes.split(|byte| *byte == 0).map(|written| {
        let Some((same, rest)) = written.split_first() else { return String::new() };
        before.truncate(usize::from(*same) - 1);
        before.extend(rest);
        String::from_utf8_lossy(&before).into_owned()
    });
    let mut names: Group = names.collect();
    names.resize(NAMES_TOGETHER as usize, String::new());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(length: usize) -> Group {
        (0..NAMES_TOGETHER).map(|number| format!("{number:x}").repeat(length)).collect()
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let bytes = fit::<4>("abcä");
        assert_eq!(text(&bytes), "abc");
    }

    #[test]
    fn a_name_that_fills_its_field_is_read_whole() {
        assert_eq!(text(&fit::<4>("abcd")), "abcd");
    }

    #[test]
    fn a_group_takes_what_its_texts_need() {
        for (length, count) in [(0, 0), (1, 1), (25, 1), (26, 2), (SERVICE_NAME_LEN, 8)] {
            let group = group(length);
            let parts = parts(&group, 7);
            assert_eq!(parts.len(), count, "{length}");
            let expected = if count == 0 { 0 } else { 7 };
            assert_eq!(joined(&parts), Some((group, expected)), "{length}");
        }
        let most = 1 << PART_BITS;
        assert!(parts(&group(SERVICE_NAME_LEN), 0).len() <= most);
    }

    #[test]
    fn texts_that_begin_alike_take_little() {
        let alike =
            |number: u32| format!("shop/a-deployment-of-some-length-7c9d8b6f5-é{number:03}");
        let mut group: Group = (0..NAMES_TOGETHER).map(alike).collect();
        group[3].clear();
        group[7] = "shop/a".into();
        let parts = parts(&group, 1);
        assert_eq!(parts.len(), 1);
        assert_eq!(joined(&parts), Some((group, 1)));
    }

    #[test]
    fn a_group_that_is_half_changed_is_not_taken_for_whole() {
        let (before, after) = (parts(&group(60), 1), parts(&group(90), 2));
        assert!(joined(&before).is_some() && joined(&after).is_some());
        for done in 1..after.len() {
            let mut met = before.clone();
            met.truncate(after[0].parts as usize);
            for (at, part) in after.iter().take(done).enumerate() {
                if at < met.len() {
                    met[at] = *part;
                } else {
                    met.push(*part);
                }
            }
            assert_eq!(joined(&met), None, "{done}");
        }
    }
}
