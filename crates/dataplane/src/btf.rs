//! Offsets in structs of the running kernel, by its own description of its types (BTF).
//!
//! `aya` parses it as well, and keeps the members of structs to itself.

use std::fs;

/// Where the kernel describes its types; there since 5.2 with CONFIG_DEBUG_INFO_BTF.
const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The pointers that lead from a task to its cgroup's id, and the id: structs and their members.
const CGROUP_PATH: [(&str, &str); 4] =
    [("task_struct", "cgroups"), ("css_set", "dfl_cgrp"), ("cgroup", "kn"), ("kernfs_node", "id")];

/// The offsets of that, 16 bits each from the lowest on; none where the kernel does not say.
pub(crate) fn cgroup_path() -> Option<u64> {
    packed(&offsets(&fs::read(PATH).ok()?, CGROUP_PATH)?)
}

fn packed(offsets: &[u32]) -> Option<u64> {
    offsets
        .iter()
        .rev()
        .try_fold(0, |path, offset| Some(path << 16 | u64::from(u16::try_from(*offset).ok()?)))
}

/// Offsets in bytes of members of structs; none where one of them is not there, or the description
/// is not one that this understands.
fn offsets<const N: usize>(btf: &[u8], wanted: [(&str, &str); N]) -> Option<[u32; N]> {
    const MAGIC: u32 = 0xeb9f;
    let [magic, length, types, types_length, names, names_length] =
        [0, 4, 8, 12, 16, 20].map(|at| word(btf, at));
    if magic? & 0xffff != MAGIC {
        return None;
    }
    let part = |start: u32, length: u32| {
        let start = start.checked_add(word(btf, 4)?)? as usize;
        btf.get(start..start.checked_add(length as usize)?)
    };
    length?;
    let (mut types, names) = (part(types?, types_length?)?, part(names?, names_length?)?);
    let mut found = [None; N];
    while !types.is_empty() {
        let one = Type::read(types)?;
        if one.kind == STRUCT {
            for ((name, member), found) in wanted.iter().zip(&mut found) {
                if found.is_none() && is(names, one.name, name) {
                    *found = one.offset(names, member);
                }
            }
        }
        types = types.get(HEAD + one.rest.len()..)?;
    }
    let all: Vec<u32> = found.into_iter().collect::<Option<_>>()?;
    all.try_into().ok()
}

/// `BTF_KIND_STRUCT` of linux/btf.h.
const STRUCT: u32 = 4;
/// Bytes before what depends on the kind.
const HEAD: usize = 12;
/// Bytes of a member.
const MEMBER: usize = 12;

/// `struct btf_type` of linux/btf.h.
struct Type<'a> {
    name: u32,
    kind: u32,
    /// Whether members say how many bits they have.
    has_sizes: bool,
    /// What depends on the kind.
    rest: &'a [u8],
}

impl<'a> Type<'a> {
    fn read(types: &'a [u8]) -> Option<Self> {
        let (name, info) = (word(types, 0)?, word(types, 4)?);
        let (kind, count) = (info >> 24 & 31, (info & 0xffff) as usize);
        let length = match kind {
            // Pointers, forward declarations, typedefs, qualifiers, functions, floats, type tags.
            2 | 7..=12 | 16 | 18 => 0,
            // Integers, variables, tags of declarations.
            1 | 14 | 17 => 4,
            // Arrays.
            3 => 12,
            // Enumerations, prototypes.
            6 | 13 => 8 * count,
            // Structs, unions, sections, enumerations of 64 bits.
            STRUCT | 5 | 15 | 19 => MEMBER * count,
            _ => return None,
        };
        let rest = types.get(HEAD..HEAD + length)?;
        Some(Self { name, kind, has_sizes: info >> 31 != 0, rest })
    }

    /// Offset of a member, in bytes.
    fn offset(&self, names: &[u8], wanted: &str) -> Option<u32> {
        let mut members = self.rest.chunks_exact(MEMBER);
        let member =
            members.find(|member| word(member, 0).is_some_and(|name| is(names, name, wanted)))?;
        let place = word(member, 8)?;
        let (bits, size) =
            if self.has_sizes { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
        (size == 0 && bits.is_multiple_of(8)).then_some(bits / 8)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Whether a name is at an offset among all names, each of which ends with a zero.
fn is(names: &[u8], offset: u32, name: &str) -> bool {
    let rest = names.get(offset as usize..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use super::{offsets, packed};

    /// An integer, a struct without the member, and two structs with members `a` and `b`, the
    /// second with a bit field `b`.
    fn btf() -> Vec<u8> {
        let names = b"\0int\0one\0two\0a\0b\0";
        let (int, one, two, a, b) = (1, 5, 9, 13, 15);
        let types = [
            &[int, 1 << 24, 4, 32][..],
            &[one, 4 << 24, 0],
            &[one, 4 << 24 | 2, 16, a, 1, 0, b, 1, 64],
            &[two, 1 << 31 | 4 << 24 | 2, 16, a, 1, 96, b, 1, 3 << 24 | 128],
        ]
        .concat();
        let length = types.len() as u32 * 4;
        let header = [0x1_eb9f, 24, 0, length, length, names.len() as u32];
        let words = header.into_iter().chain(types);
        words.flat_map(u32::to_ne_bytes).chain(*names).collect()
    }

    #[test]
    fn a_member_is_where_it_is_said_to_be() {
        assert_eq!(offsets(&btf(), [("one", "b"), ("two", "a")]), Some([8, 12]));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for wanted in [("two", "b"), ("one", "c"), ("tw", "a"), ("int", "a"), ("", "a")] {
            assert_eq!(offsets(&btf(), [("one", "a"), wanted]), None, "{wanted:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_not_understood() {
        let whole = btf();
        for length in 0..whole.len() {
            assert_eq!(offsets(&whole[..length], [("two", "a")]), None, "{length} bytes");
        }
    }

    #[test]
    fn offsets_are_in_one_word_or_not_at_all() {
        assert_eq!(packed(&[0x12, 0x345, 6, 0xffff]), Some(0xffff_0006_0345_0012));
        assert_eq!(packed(&[0, 0x1_0000]), None);
    }
}
