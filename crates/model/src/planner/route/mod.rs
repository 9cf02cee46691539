//! What callers of a port get, where routes say so.

mod callers;
mod classes;
mod destinations;
mod names;
mod order;
mod parts;
mod verdict;

pub(crate) use callers::{Matcher, Subject};
pub(super) use classes::{Routed, Routes};
pub(super) use names::own_outcome;
pub(super) use parts::TooMany;
pub(super) use verdict::problems;
pub(crate) use verdict::{RouteVerdict, Standing};
