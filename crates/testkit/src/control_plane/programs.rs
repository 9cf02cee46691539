//! Where the programs of a control plane are.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// A folder of programs that a user has already, named as other Kubernetes projects name it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// A program of the folder that the user names, else of the one that `cargo xtask test` links
/// beside the build.
pub(crate) fn program(name: &str) -> Result<PathBuf, Error> {
    let folders = match env::var_os(ASSETS) {
        Some(folder) => vec![PathBuf::from(folder)],
        None => links("control-plane")?,
    };
    find(&folders, name)
}

/// A program of the folder of this name that `cargo xtask test` links beside the build.
pub(crate) fn linked(folder: &str, name: &str) -> Result<PathBuf, Error> {
    find(&links(folder)?, name)
}

fn find(folders: &[PathBuf], name: &str) -> Result<PathBuf, Error> {
    let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.join(name)).collect();
    let found = paths.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| Error::MissingBinary {
        path: paths.into_iter().next_back().unwrap_or_default(),
    })
}

/// `target/NAME`, wherever below `target` this program is.
fn links(name: &str) -> Result<Vec<PathBuf>, Error> {
    let this = env::current_exe().map_err(Error::io("find this program's own path"))?;
    // target/PROFILE/{deps,examples}/NAME, or target/PROFILE/NAME for a program.
    let above = this.ancestors().skip(2).take(2);
    Ok(above.map(|folder| folder.join(name)).collect())
}
