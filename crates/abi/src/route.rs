//! `ROUTES`: what a frontend's callers get, where that depends on who calls or is divided.
//!
//! A frontend with [`crate::FRONTEND_ROUTED`] leads not to a table but to a route, which begins at a
//! line of `ROUTES`:
//!
//! ```text
//! [a byte for each caller's number] ... [header][class 0][class 1] ... [part][part] ...
//! ^ a line; the frontend's "members"    ^ a line                       two words each
//!   are so many lines
//! ```
//!
//! The byte of a caller's number is the number of its class; callers beyond the last byte are of
//! class 0, as is number 0, which is whoever is not known. A class is one word, a [`Class`]. What it
//! names lies within the same route, so that the words are the same wherever a route lies, and a
//! route is never written again while anything leads to it.

use crate::Target;

/// Callers whose classes are in one line of a route.
pub const LINE_CALLERS: u32 = 64;
/// Classes of a route, at most.
pub const MAX_CLASSES: u32 = 256;
/// Parts of a class, at most.
pub const MAX_PARTS: u32 = 16;
/// Words of a part: up to where of 2^32 its share reaches, then its [`Target`].
pub const PART_WORDS: u32 = 2;

/// What some callers get, in one word: one [`Target`], or nothing, or one of several parts.
///
/// The word of a frontend without a route is a class too: it is its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Class(pub u64);

impl Class {
    /// Callers are refused.
    pub const DENIED: Self = Self(0);

    /// All of its callers get the same.
    #[inline(always)]
    #[must_use]
    pub const fn of(target: Target) -> Self {
        Self(target.0)
    }

    /// One of so many parts, of which the first begins at a word, counted from that of the header.
    #[must_use]
    pub const fn divided(first: u32, parts: u32) -> Self {
        Self(first as u64 | (parts as u64) << 32)
    }

    /// What all of its callers get; none where they are refused, or it is divided.
    #[inline(always)]
    #[must_use]
    pub const fn whole(self) -> Option<Target> {
        if Target(self.0).is_some() { Some(Target(self.0)) } else { None }
    }

    /// The word of its first part, and how many it has: none for one that is not divided.
    #[inline(always)]
    #[must_use]
    pub const fn parts(self) -> (u32, u32) {
        if Target(self.0).is_some() { (0, 0) } else { (self.0 as u32, (self.0 >> 32) as u32) }
    }

    /// The same with its parts counted from the first word of `ROUTES`, given the header's.
    #[inline(always)]
    #[must_use]
    pub const fn at(self, header: u32) -> Self {
        if Target(self.0).is_some() || self.0 == Self::DENIED.0 {
            self
        } else {
            Self(self.0 + header as u64)
        }
    }
}

/// What lies before the classes of a route: how many classes and how many parts it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct RouteHeader(pub u64);

impl RouteHeader {
    /// Of so many classes and parts.
    #[must_use]
    pub const fn new(classes: u32, parts: u32) -> Self {
        Self(classes as u64 | (parts as u64) << 32)
    }

    /// Its classes.
    #[must_use]
    pub const fn classes(self) -> u32 {
        self.0 as u32
    }

    /// The parts of all of them.
    #[must_use]
    pub const fn parts(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Words from the header to the end of the route.
    #[must_use]
    pub const fn words(self) -> u64 {
        1 + self.classes() as u64 + self.parts() as u64 * PART_WORDS as u64
    }
}
