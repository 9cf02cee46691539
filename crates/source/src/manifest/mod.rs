//! One file of manifests: from its text to the objects that it declares. Pure.

mod document;
mod object;
mod text;

pub(crate) use object::{Declared, Kind, Object, ObjectKey};
pub(crate) use text::{File, broken, parse};

#[cfg(test)]
mod tests;
