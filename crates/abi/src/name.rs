//! `SERVICE_NAMES` and `BACKEND_NAMES`: texts for people.

use crate::pod;

/// Longest name of a Service port kept, in bytes: `namespace/name:port-name/protocol`.
pub const SERVICE_NAME_LEN: usize = 192;
/// Longest name of a backend kept, in bytes: `namespace/pod`.
pub const BACKEND_NAME_LEN: usize = 128;

/// Names that are kept together: those of ids that differ in no more than the low bits.
pub const NAMES_TOGETHER: u32 = 16;
/// Bits of a key that count the entries of a group; the bits above them are the group.
pub const PART_BITS: u32 = 3;
/// Bytes of text in an entry: with what the kernel adds to it, an entry is 512 bytes.
pub const PART_TEXT: usize = 440;

/// Entries that the names of so many ids may need, whose longest is of so many bytes.
#[must_use]
pub const fn name_parts(ids: u32, longest: usize) -> u32 {
    let each = (NAMES_TOGETHER as usize * (longest + 2)).div_ceil(PART_TEXT);
    ids.div_ceil(NAMES_TOGETHER).saturating_mul(each as u32)
}

/// Value of `SERVICE_NAMES` and `BACKEND_NAMES`: a part of the names of a group. Of each there is a
/// byte, one more than it has in common with the name before, then the rest of it, then a zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamePart {
    /// The same in all parts, and another one after each change.
    pub stamp: u32,
    /// How many parts there are.
    pub parts: u32,
    /// Cut wherever the part is full.
    pub text: [u8; PART_TEXT],
}
pod!(NamePart, 448, 4);

const _: () = assert!(name_parts(NAMES_TOGETHER, SERVICE_NAME_LEN) <= 1 << PART_BITS);
