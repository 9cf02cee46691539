//! Where the programs of a control plane are.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// A folder of programs that a user has already, named as other Kubernetes projects name it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// A program of the folder that the user names, else of the one that `cargo xtask test` links
/// beside the build.
pub(super) fn program(name: &str) -> Result<PathBuf, Error> {
    let folder = match env::var_os(ASSETS) {
        Some(folder) => PathBuf::from(folder),
        None => linked()?,
    };
    let path = folder.join(name);
    if path.is_file() { Ok(path) } else { Err(Error::MissingBinary { path }) }
}

/// `target/control-plane`, wherever below `target` this program is.
fn linked() -> Result<PathBuf, Error> {
    let this = env::current_exe().map_err(Error::io("find this program's own path"))?;
    let mut links = this.ancestors().skip(1).map(|folder| folder.join("control-plane"));
    let beside = this.with_file_name("control-plane");
    Ok(links.find(|link| link.is_dir()).unwrap_or(beside))
}
