//! From what happened in a directory to what has to be done about it. Pure.

use std::collections::BTreeMap;

/// What happened to a name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A whole file is there: one that was written is closed, or it was moved or linked there.
    Whole,
    /// It is being written.
    Written,
    /// It is there no more.
    Gone,
}

/// What still has to be done.
#[derive(Debug, Default)]
pub(super) struct Pending {
    files: BTreeMap<Box<str>, Happened>,
    /// Anything may have changed.
    pub(super) all: bool,
    /// The directory itself is not there any more.
    pub(super) lost: bool,
}

impl Pending {
    /// Notes what happened to a name. Only the last word on it counts: a file that is moved away
    /// and written anew, as editors do, is not gone; it is being written.
    pub(super) fn note(&mut self, name: &str, happened: Happened) {
        if is_manifest(name) {
            self.files.insert(name.into(), happened);
        }
    }

    /// Whether there is something to do. Nothing is done about a file that is being written.
    pub(super) fn is_due(&self) -> bool {
        self.all || self.lost || self.files.values().any(|happened| *happened != Happened::Written)
    }

    /// Whether files are gone that might come back at once, under their own or another name.
    pub(super) fn may_return(&self) -> bool {
        self.files.values().any(|happened| *happened == Happened::Gone)
    }

    /// Whether the file is being written just now.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.files.get(name) == Some(&Happened::Written)
    }

    /// The files to look at: whether they are there still or gone.
    pub(super) fn take_due(&mut self) -> Vec<Box<str>> {
        let (written, due) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|(_, happened)| *happened == Happened::Written);
        self.files = written;
        let due: BTreeMap<_, _> = due;
        due.into_keys().collect()
    }

    /// Forgets it all; the directory is read as a whole.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether a file of this name is read: not those of editors (`.x.yaml.swp`, `#x.yaml#`,
/// `x.yaml~`), and none that is hidden.
pub(super) fn is_manifest(name: &str) -> bool {
    let (stem, extension) = name.rsplit_once('.').unwrap_or_default();
    !stem.is_empty()
        && !stem.starts_with(['.', '#'])
        && matches!(extension, "yaml" | "yml" | "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_told_by_name() {
        for name in ["a.yaml", "a.b.yml", "svc.json"] {
            assert!(is_manifest(name), "{name}");
        }
        for name in [
            "a.txt",
            "yaml",
            ".yaml",
            ".a.yaml",
            ".#a.yaml",
            "#a.yaml#",
            "a.yaml~",
            ".a.yaml.swp",
            "a.yaml.bak",
            "..data",
            "4913",
        ] {
            assert!(!is_manifest(name), "{name}");
        }
    }

    #[test]
    fn a_file_being_written_is_not_due() {
        let mut pending = Pending::default();
        pending.note("a.yaml", Happened::Written);
        assert!(!pending.is_due());
        pending.note("a.yaml", Happened::Whole);
        assert!(pending.is_due());
        assert_eq!(pending.take_due(), ["a.yaml".into()]);
        assert!(!pending.is_due());
    }

    #[test]
    fn a_file_replaced_by_an_editor_is_not_gone() {
        let mut pending = Pending::default();
        pending.note("a.yaml", Happened::Gone);
        assert!(pending.may_return());
        pending.note("a.yaml", Happened::Written);
        assert!(!pending.may_return() && !pending.is_due());
    }
}
