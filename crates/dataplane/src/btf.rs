//! Offsets in structs of the running kernel, by its own description of its types (BTF).
//!
//! `aya` parses it as well, and keeps the members of structs to itself.

use std::fs;

/// Where the kernel describes its types; there since 5.2 with CONFIG_DEBUG_INFO_BTF.
const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The pointers that lead from a task to its cgroup's id, and the id: structs and their members.
const CGROUP_PATH: [(&str, &str); 4] =
    [("task_struct", "cgroups"), ("css_set", "dfl_cgrp"), ("cgroup", "kn"), ("kernfs_node", "id")];

/// What tells whether anything was read from a socket.
const SOCKET_READ: [(&str, &str); 3] =
    [("sock_common", "skc_flags"), ("sock", "sk_stamp"), ("sock", "sk_backlog")];

/// What tells which socket an error is of, where, and which error it is.
const SOCKET_ERROR: [(&str, &str); 4] = [
    ("sock_common", "skc_cookie"),
    ("sock_common", "skc_net"),
    ("net", "net_cookie"),
    ("sock", "sk_err"),
];

/// What tells whether a TCP socket has sent its first SYN, and how many segments a buffer stands for.
const TCP_SENT: [(&str, &str); 3] =
    [("tcp_sock", "write_seq"), ("sk_buff", "cb"), ("tcp_skb_cb", "tcp_gso_segs")];

/// Offsets that the programs are given, 16 bits each from the lowest on; 0 where the kernel does not
/// say.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Offsets {
    pub(crate) cgroup_path: u64,
    pub(crate) socket_read: u64,
    pub(crate) socket_error: u64,
    pub(crate) tcp_sent: u64,
}

impl Offsets {
    /// Those of the running kernel.
    pub(crate) fn read() -> Self {
        let Ok(btf) = fs::read(PATH) else { return Self::default() };
        let types = Types::read(&btf);
        let types = types.as_ref();
        Self {
            cgroup_path: types.and_then(|types| types.packed(CGROUP_PATH)).unwrap_or_default(),
            socket_read: types.and_then(|types| types.packed(SOCKET_READ)).unwrap_or_default(),
            socket_error: types.and_then(|types| types.packed(SOCKET_ERROR)).unwrap_or_default(),
            tcp_sent: types.and_then(|types| types.packed(TCP_SENT)).unwrap_or_default(),
        }
    }
}

fn packed(offsets: &[u32]) -> Option<u64> {
    offsets
        .iter()
        .rev()
        .try_fold(0, |path, offset| Some(path << 16 | u64::from(u16::try_from(*offset).ok()?)))
}

/// Types and their names.
struct Types<'a> {
    /// The first has number 1.
    all: Vec<Type<'a>>,
    names: &'a [u8],
}

impl<'a> Types<'a> {
    /// None where the description is not one that this understands.
    fn read(btf: &'a [u8]) -> Option<Self> {
        const MAGIC: u32 = 0xeb9f;
        let [magic, length, types, types_length, names, names_length] =
            [0, 4, 8, 12, 16, 20].map(|at| word(btf, at));
        if magic? & 0xffff != MAGIC {
            return None;
        }
        let part = |start: u32, size: u32| {
            let start = start.checked_add(length?)? as usize;
            btf.get(start..start.checked_add(size as usize)?)
        };
        let (mut rest, names) = (part(types?, types_length?)?, part(names?, names_length?)?);
        let mut all = Vec::new();
        while !rest.is_empty() {
            let one = Type::read(rest)?;
            rest = rest.get(HEAD + one.rest.len()..)?;
            all.push(one);
        }
        Some(Self { all, names })
    }

    fn packed<const N: usize>(&self, wanted: [(&str, &str); N]) -> Option<u64> {
        packed(&self.offsets(wanted)?)
    }

    /// Offsets in bytes of members of structs; none where one of them is not there.
    fn offsets<const N: usize>(&self, wanted: [(&str, &str); N]) -> Option<[u32; N]> {
        let find = |(name, member): (&str, &str)| {
            let named = self.all.iter().filter(|one| one.kind == STRUCT);
            let mut named = named.filter(|one| is(self.names, one.name, name));
            named.find_map(|one| self.offset(one, member, DEPTH))
        };
        let all: Vec<u32> = wanted.into_iter().map(find).collect::<Option<_>>()?;
        all.try_into().ok()
    }

    /// Offset of a member, in bytes; those of structs and unions without a name within it are its
    /// own.
    fn offset(&self, of: &Type<'_>, wanted: &str, depth: u32) -> Option<u32> {
        of.members().find_map(|(name, number, offset)| {
            if is(self.names, name, wanted) {
                return offset;
            }
            if name != 0 || depth == 0 {
                return None;
            }
            let within = self.all.get((number as usize).checked_sub(1)?)?;
            let within = [STRUCT, UNION].contains(&within.kind).then_some(within)?;
            self.offset(within, wanted, depth - 1)?.checked_add(offset?)
        })
    }
}

/// `BTF_KIND_STRUCT` of linux/btf.h.
const STRUCT: u32 = 4;
/// `BTF_KIND_UNION` of linux/btf.h.
const UNION: u32 = 5;
/// How deep structs without a name are looked into.
const DEPTH: u32 = 4;
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
            STRUCT | UNION | 15 | 19 => MEMBER * count,
            _ => return None,
        };
        let rest = types.get(HEAD..HEAD + length)?;
        Some(Self { name, kind, has_sizes: info >> 31 != 0, rest })
    }

    /// Name, number of the type, and offset in bytes of each member; none of one that is made of
    /// bits.
    fn members(&self) -> impl Iterator<Item = (u32, u32, Option<u32>)> {
        self.rest.chunks_exact(MEMBER).filter_map(|member| {
            let place = word(member, 8)?;
            let (bits, size) =
                if self.has_sizes { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            let offset = (size == 0 && bits.is_multiple_of(8)).then_some(bits / 8);
            Some((word(member, 0)?, word(member, 4)?, offset))
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Whether a name is at an offset among all names, each of which ends with a zero; what has none is
/// at 0.
fn is(names: &[u8], offset: u32, name: &str) -> bool {
    if offset == 0 {
        return false;
    }
    let rest = names.get(offset as usize..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use super::{Types, packed};

    fn offsets<const N: usize>(btf: &[u8], wanted: [(&str, &str); N]) -> Option<[u32; N]> {
        Types::read(btf)?.offsets(wanted)
    }

    /// An integer, a struct without the member, and two structs with members `a` and `b`, the
    /// second with a bit field `b`; then one with a union without a name, which has a struct
    /// without a name, which has `b`.
    fn btf() -> Vec<u8> {
        let names = b"\0int\0one\0two\0a\0b\0three\0";
        let (int, one, two, a, b, three) = (1, 5, 9, 13, 15, 17);
        let types = [
            &[int, 1 << 24, 4, 32][..],
            &[one, 4 << 24, 0],
            &[one, 4 << 24 | 2, 16, a, 1, 0, b, 1, 64],
            &[two, 1 << 31 | 4 << 24 | 2, 16, a, 1, 96, b, 1, 3 << 24 | 128],
            &[0, 4 << 24 | 2, 8, a, 1, 0, b, 1, 32],
            &[0, 5 << 24 | 2, 8, a, 1, 0, 0, 5, 0],
            &[three, 4 << 24 | 2, 16, int, 1, 0, 0, 6, 64],
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
    fn what_has_no_name_is_looked_into() {
        assert_eq!(offsets(&btf(), [("three", "b"), ("three", "a")]), Some([12, 8]));
        assert_eq!(offsets(&btf(), [("three", "two")]), None);
    }

    #[test]
    fn the_running_kernel_is_understood() {
        let offsets = super::Offsets::read();
        let all =
            [offsets.cgroup_path, offsets.socket_read, offsets.socket_error, offsets.tcp_sent];
        assert!(all.iter().all(|offsets| *offsets != 0), "{all:x?}");
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
