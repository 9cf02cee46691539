//! The decision of one connection, as pure functions over whatever holds the tables.
//!
//! The kernel programs run this code over BPF maps; tests and the verbs that explain run it over
//! plain memory. No allocation, no panics, no recursion, and every loop is bounded by a table's
//! length, so that the verifier accepts it as it stands.
#![no_std]
#![forbid(unsafe_code)]

mod flow;
mod lookup;
mod pick;
mod random;

pub use flow::keep;
pub use lookup::{Cell, lookup};
pub use pick::pick;
pub use random::random;

/// What the decision reads.
pub trait Tables {
    /// What is known of a backend.
    type Backend;

    /// Backend id in a slot of `SLOTS`; none where the index is outside the array.
    fn slot(&self, index: u32) -> Option<u32>;

    /// A backend that new connections may be sent to; none where it is out, or there is none of
    /// that id.
    fn available(&self, backend: u32) -> Option<Self::Backend>;

    /// Calls `probe` with 0, 1, 2 ... up to `count` (exclusive) until it gives a backend.
    ///
    /// A method of the tables, since the kernel walks with `bpf_loop` where a plain loop over
    /// 65,535 members would exceed the verifier's budget.
    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32>;
}
