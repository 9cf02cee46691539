//! What is still there after everything was removed: it should be nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::stage::Stage;

/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where to look, and for what.
pub(crate) struct Leftovers {
    /// Every scratch name of this process starts like this.
    prefix: String,
    folders: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks wherever a stage puts things.
    pub(crate) fn of(stage: &Stage) -> Self {
        let cgroup = stage.cgroup.path();
        let name = cgroup.file_name().unwrap_or_default().to_string_lossy();
        let prefix = name.rsplit_once('-').map_or(&*name, |(prefix, _)| prefix);
        let files = stage.files.path().parent().unwrap_or(stage.files.path());
        let folders = [cgroup, stage.pin.path(), files].into_iter().filter_map(Path::parent);
        let namespaces = Path::new("/run/netns");
        Self {
            prefix: format!("{prefix}-"),
            folders: folders.chain([namespaces]).map(Path::to_owned).collect(),
        }
    }

    /// Paths and processes that are left.
    pub(crate) fn find(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut found: Vec<String> = self.folders.iter().flat_map(|f| self.within(f)).collect();
            found.extend(children());
            if found.is_empty() || Instant::now() > deadline {
                return found;
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn within(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let ours = entries.filter(|e| e.file_name().to_string_lossy().starts_with(&self.prefix));
        ours.map(|entry| entry.path().display().to_string()).collect()
    }
}

/// Processes whose parent this one is.
fn children() -> Vec<String> {
    let own = process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let stats = entries.filter_map(|e| fs::read_to_string(e.path().join("stat")).ok());
    stats.filter_map(|stat| child_of(&stat, &own)).collect()
}

/// `PID (NAME) STATE PARENT ...` of proc(5); the name may hold spaces and brackets.
fn child_of(stat: &str, parent: &str) -> Option<String> {
    let (front, rest) = stat.rsplit_once(')')?;
    (rest.split_whitespace().nth(1)? == parent).then(|| format!("process {front})"))
}
