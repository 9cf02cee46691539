use std::{fs, io, path::Path};

use serde::Serialize;

use crate::{
    attach::Hook,
    error::OpenError,
    pin::{PinDirectory, sets},
};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detached {
    /// Hooks that had a program of ours.
    pub hooks: usize,
    /// Sets of maps.
    pub map_sets: usize,
}

/// Takes the programs off their hooks and removes everything pinned: the hooks that decide first,
/// so that no socket is left half translated.
///
/// # Errors
///
/// [`OpenError::Locked`] while an agent runs, [`OpenError::Absent`] where nothing is pinned.
pub fn detach(pin: &Path) -> Result<Detached, OpenError> {
    let pins = PinDirectory::open(pin)?;
    let mut detached = Detached::default();
    for hook in Hook::ALL.into_iter().rev() {
        let link = pins.link(hook.name());
        match fs::remove_file(&link) {
            Ok(()) => detached.hooks += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(OpenError::io("could not remove", link)(error)),
        }
    }
    detached.map_sets = sets(pin)?.len();
    fs::remove_dir_all(pin).map_err(OpenError::io("could not remove", pin))?;
    Ok(detached)
}
