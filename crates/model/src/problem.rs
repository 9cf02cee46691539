use std::{error::Error, fmt, iter};

use serde::Serialize;

/// Something in the input that could not be honoured, told so that its owner can mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Problem {
    /// What is meant: `Service shop/cart`, or a file and line.
    pub object: String,
    /// Path of the field: `spec.ports[1].port`; empty where it is the whole object.
    pub field: String,
    /// What is wrong with it, in lower case.
    pub reason: String,
    /// What to do about it, and what happens until then.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.reason)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// An error and what caused it, in one line; what repeats its cause says it once.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(error.source(), |cause| (*cause).source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
