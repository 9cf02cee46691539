//! Finding the programs of this workspace.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// The program `name` of the same build as this test, bench or example.
///
/// # Errors
///
/// [`Error::MissingBinary`] when it has not been built: cargo builds binaries only for the tests
/// of their own package.
pub fn binary(name: &str) -> Result<PathBuf, Error> {
    let test = env::current_exe().map_err(Error::io("find this program's own path"))?;
    // target/PROFILE/{deps,examples}/NAME, or target/PROFILE/NAME for a program.
    let profile = test
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
    let path = profile.unwrap_or(&test).join(name);
    if path.is_file() { Ok(path) } else { Err(Error::MissingBinary { path }) }
}
