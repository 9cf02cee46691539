use std::{fs, io, os::fd::AsFd as _, path::Path};

use serde::Serialize;

use crate::{
    attach::{Hook, half_pinned},
    error::OpenError,
    pin::{PinDirectory, sets},
    sys,
    tracepoint::Tracepoint,
};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detached {
    /// Hooks that had a program of ours.
    pub hooks: usize,
    /// Sets of maps.
    pub map_sets: usize,
}

/// Takes the programs off their hooks and removes all that an agent pinned: the hooks that decide
/// first, so that no socket is left half translated. What others pinned in the directory stays.
///
/// # Errors
///
/// [`OpenError::Locked`] while an agent runs, [`OpenError::Absent`] where nothing is pinned.
pub fn detach(pin: &Path) -> Result<Detached, OpenError> {
    let pins = PinDirectory::open(pin)?;
    let sets = sets(pin)?;
    let links = pin.join("links");
    if sets.is_empty() && !links.exists() {
        return Err(OpenError::Absent { path: pin.to_owned() });
    }
    let mut detached = Detached { hooks: 0, map_sets: sets.len() };
    for hook in Hook::ALL.into_iter().rev() {
        let link = pins.link(hook.name());
        // A link whose last pin goes is taken off some time later, by a worker of the kernel: the
        // hooks would go in any order, and after the end of this. Where this fails, they do.
        let _ = sys::object_get(&link).and_then(|link| sys::link_detach(link.as_fd()));
        match fs::remove_file(&link) {
            Ok(()) => detached.hooks += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(OpenError::io("could not remove", link)(error)),
        }
        // Left by an agent that was killed between two calls.
        let _ = fs::remove_file(half_pinned(&link));
    }
    // Nothing is left for it to count.
    for link in Tracepoint::ALL.map(|tracepoint| pins.link(tracepoint.name())) {
        let _ = fs::remove_file(half_pinned(&link));
        let _ = fs::remove_file(link);
    }
    for (_, set) in sets {
        fs::remove_dir_all(&set).map_err(OpenError::io("could not remove", set))?;
    }
    remove_empty(&links)?;
    remove_empty(pin)?;
    Ok(detached)
}

/// Removes a folder, unless others have something in it or the file system is mounted there.
fn remove_empty(folder: &Path) -> Result<(), OpenError> {
    use io::ErrorKind::{DirectoryNotEmpty, NotFound, ResourceBusy};
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), DirectoryNotEmpty | NotFound | ResourceBusy) => {
            Err(OpenError::io("could not remove", folder)(error))
        }
        _ => Ok(()),
    }
}
