//! The decision of one connection, as pure functions over whatever holds the tables.
//!
//! The kernel programs run this code over BPF maps; tests and the verbs that explain run it over
//! plain memory. No allocation, no panics, no recursion, and every loop is bounded by a table's
//! length, so that the verifier accepts it as it stands.
#![no_std]
#![forbid(unsafe_code)]

use core::borrow::Borrow;

use etm_abi::{Class, LINE_SLOTS, LINE_WORDS};

pub mod affinity;
pub mod balance;
mod flow;
mod hash;
pub mod health;
mod lookup;
mod pick;
mod random;
mod rendezvous;
pub mod replies;
pub mod route;

pub use flow::keep;
pub use hash::{Call, position};
pub use lookup::{Cell, lookup};
pub use pick::{pick, pick_other_than};
pub use random::random;
pub use rendezvous::{COST_BITS, Offer, Positions, Ranking, cost};

/// Steps of a search on kernels without `bpf_loop`: what the verifier of such a kernel can follow.
pub const UNROLLED_STEPS: u32 = 64;

/// Connections by an element of `CONNECTIONS`, which may be below zero for a moment, while a socket
/// closes that is just being counted.
#[inline(always)]
#[must_use]
pub const fn connections(count: u64) -> u32 {
    /// More than a node can have.
    const MOST: i64 = 1 << 24;
    let count = count as i64;
    if count < 0 {
        0
    } else if count > MOST {
        MOST as u32
    } else {
        count as u32
    }
}

/// The words of an element of `SLOTS`.
pub type Line = [u64; LINE_WORDS as usize];

/// What the decision reads.
pub trait Tables {
    /// What is known of a backend.
    type Backend;

    /// An element of `SLOTS`, or a copy of it.
    type Line: Borrow<Line>;

    /// An element of `SLOTS`; none where the index is outside the array.
    fn line(&self, index: u32) -> Option<Self::Line>;

    /// A word of `SLOTS`; none where the index is outside the array.
    #[inline(always)]
    fn word(&self, index: u32) -> Option<u64> {
        let line = self.line(index / LINE_WORDS)?;
        Some(line.borrow()[(index % LINE_WORDS) as usize])
    }

    /// Backend id in a slot of `SLOTS`, two of which make a word; none where the index is outside
    /// the array.
    #[inline(always)]
    fn slot(&self, index: u32) -> Option<u32> {
        let line = self.line(index / LINE_SLOTS)?;
        let pair = line.borrow()[(index % LINE_SLOTS / 2) as usize];
        Some((pair >> ((index & 1) * 32)) as u32)
    }

    /// A word of `ROUTES`; none where the index is outside the array, or there are no routes.
    #[inline(always)]
    fn route_word(&self, index: u32) -> Option<u64> {
        let _ = index;
        None
    }

    /// Whether a backend is a member of what a class leads to, of any part of it.
    ///
    /// A method of the tables, since the kernel's verifier is to look at it only once.
    #[inline(always)]
    fn has_member(&self, class: Class, backend: u32) -> bool
    where
        Self: Sized,
    {
        route::has_member(self, class, backend)
    }

    /// The lesser of two numbers below 2^63.
    ///
    /// A method of the tables, since the kernel's is written so that no branch comes of it.
    #[inline(always)]
    #[must_use]
    fn lesser(a: u64, b: u64) -> u64 {
        a.min(b)
    }

    /// A backend that new connections may be sent to; none where it is out, or there is none of
    /// that id.
    fn available(&self, backend: u32) -> Option<Self::Backend>;

    /// Connections that were given to a backend by load and are not closed yet.
    fn connections(&self, backend: u32) -> u32;

    /// Calls `probe` with 0, 1, 2 ... up to `count` (exclusive) until it gives a backend.
    ///
    /// A method of the tables, since the kernel walks with `bpf_loop` where a plain loop over
    /// 65,535 members would exceed the verifier's budget.
    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32>;
}
