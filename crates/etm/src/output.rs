//! What verbs print to standard output.

use std::io::{ErrorKind, Write as _, stdout};

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::Output;

/// Prints a value in the form that was asked for; `table` makes the one for people.
pub(crate) fn print<T: Serialize + ?Sized>(
    value: &T,
    table: impl FnOnce() -> String,
    output: Output,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        Output::Yaml => serde_saphyr::to_string(&value).context("could not write YAML")?,
    };
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        // Whoever reads has seen enough: `etm get backends | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}
