//! iproute2, by batches: one process for many changes.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::Error;

/// Where iproute2 keeps named network namespaces.
pub(crate) const NAMESPACES: &str = "/run/netns";

/// Runs `ip ARGUMENTS`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    finish(Command::new("ip").args(arguments), "")
}

/// Runs the lines of a batch inside a namespace, up to the first that fails.
pub(crate) fn batch(namespace: &str, lines: &str) -> Result<(), Error> {
    finish(Command::new("ip").args(["-n", namespace, "-batch", "-"]), lines)
}

fn finish(command: &mut Command, input: &str) -> Result<(), Error> {
    let shown = || Error::io("run ip, of iproute2");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(shown())?;
    if let Some(mut stdin) = child.stdin.take() {
        // It stops reading at the first bad line; then its own words are the better error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(shown())?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: format!("{command:?}"),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
