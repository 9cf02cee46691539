//! Names of scratch things, unique on the machine and telling whose they are.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Starts every name that the testkit gives to something outside of this process.
const PREFIX: &str = "etmt";

/// A name that no other process and no other part of this one uses: `etmt-PID-NUMBER`.
pub(crate) fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{PREFIX}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether something with this name belonged to a process that is gone.
pub(crate) fn is_orphaned(name: &str) -> bool {
    owner(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_tell_their_owner() {
        let (one, two) = (name(), name());
        assert_ne!(one, two);
        assert_eq!(owner(&one), Some(std::process::id()));
        assert!(!is_orphaned(&one));
    }

    #[test]
    fn only_names_of_dead_processes_are_orphaned() {
        // Larger than any pid the kernel gives out (2^22).
        assert!(is_orphaned("etmt-99999999-0"));
        assert!(!is_orphaned("etmt-x-0"));
        assert!(!is_orphaned("somebody-else"));
    }
}
