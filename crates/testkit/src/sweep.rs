//! Removes what processes that were killed left behind, once in each process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::scratch::is_orphaned;
use crate::{bpf_dir, cgroup, folder, ip, mounts};

/// Called before anything is made. What cannot be removed is left for the next process.
pub(crate) fn sweep() {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        // Cgroups first: that ends the processes which keep the rest in use.
        if let Ok(root) = mounts::cgroup2() {
            orphans(&root).for_each(|path| cgroup::remove(&path));
        }
        for path in orphans(Path::new(ip::NAMESPACES)) {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                let _ = ip::run(&["netns", "delete", name]);
            }
        }
        if let Ok(root) = mounts::bpffs() {
            orphans(&root).for_each(|path| bpf_dir::remove(&path));
        }
        orphans(&folder::root()).for_each(|path| drop(fs::remove_dir_all(path)));
    });
}

fn orphans(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_orphaned))
        .map(|entry| entry.path())
}
