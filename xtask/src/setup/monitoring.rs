//! Prometheus and Alertmanager, which tests start: of Debian's packages, unpacked into the cache and
//! not installed. So no service of theirs runs on this machine, now or after its next start.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{go_tools, outcome, packages};
use crate::process::{quiet, which};
use crate::step::step;
use crate::workspace::Workspace;

const NAME: &str = "monitoring";
const PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];
/// Where the packages have them.
const PROGRAMS: &str = "usr/bin";

/// Makes sure of the programs, and of the link by which tests find them.
pub(crate) fn monitoring(workspace: &Workspace) -> Result<()> {
    step(NAME, |progress| {
        let place = workspace.tools.join(NAME);
        let installed = !is_whole(&place);
        if installed {
            progress.say(&format!("unpacking {}", PACKAGES.join(" ")));
            unpack(&place)?;
        }
        let programs = place.join(PROGRAMS);
        go_tools::link(workspace, NAME, &programs)?;
        Ok(((), outcome(installed), programs.display().to_string()))
    })
}

fn is_whole(place: &Path) -> bool {
    PACKAGES.iter().all(|program| place.join(PROGRAMS).join(program).is_file())
}

fn unpack(place: &Path) -> Result<()> {
    let missing = PACKAGES.iter().find(|package| !packages::available(package));
    if let Some(package) = missing {
        bail!(
            "apt knows no package {package}; put {} into {}",
            PACKAGES.join(" and "),
            place.join(PROGRAMS).display()
        );
    }
    let scratch = place.with_extension("unpacking");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    let download = ["download", "--quiet"];
    quiet(Command::new("apt-get").args(download).args(PACKAGES).current_dir(&scratch))?;
    let unpack = which("dpkg-deb").context("there is no dpkg-deb here")?;
    for file in fs::read_dir(&scratch).context("look at what was downloaded")? {
        let path = file.context("look at what was downloaded")?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            quiet(Command::new(&unpack).arg("--extract").arg(&path).arg(&scratch))?;
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    let _ = fs::remove_dir_all(place);
    fs::rename(&scratch, place).with_context(|| format!("move to {}", place.display()))
}
