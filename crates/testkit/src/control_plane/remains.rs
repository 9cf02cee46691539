//! Removes what a control plane leaves when nobody drops it, as a static's.

use std::process::Command;

use crate::Error;
use crate::cgroup::Cgroup;
use crate::folder::Folder;
use crate::program::Program;

/// Waits for the end of its input, which is the end of this process, then for the cgroup to be
/// empty, for five seconds at most.
const SCRIPT: &str = r#"
    cat
    echo 1 >"$0/cgroup.kill"
    for i in $(seq 500); do rmdir "$0" 2>/dev/null && break; sleep 0.01; done
    rm -rf "$1"
"#;

/// Starts a process that outlives this one and removes its cgroup and its folder. Dropped before
/// these it does nothing.
pub(super) fn remove_after_death(cgroup: &Cgroup, folder: &Folder) -> Result<Program, Error> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).arg(cgroup.path()).arg(folder.path());
    Program::start("sh", command)
}
