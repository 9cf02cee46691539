//! A folder of manifests, as the agent follows it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Error;
use crate::folder::Folder;

/// A scratch folder of manifests, removed on drop.
#[derive(Debug)]
pub struct Manifests {
    /// Holds the folder itself and, beside it, the place where files are prepared.
    scratch: Folder,
    folder: PathBuf,
}

impl Manifests {
    /// Makes an empty folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder for temporary files cannot be written.
    pub fn new() -> Result<Self, Error> {
        let scratch = Folder::new()?;
        let folder = scratch.child("manifests")?;
        Ok(Self { scratch, folder })
    }

    /// Its absolute path, as `--manifests` of the agent takes it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes objects to a file in one step, by renaming a finished one into the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn apply<V: Into<Value> + Clone>(&self, file: &str, objects: &[V]) -> Result<(), Error> {
        self.write(file, &documents(objects))
    }

    /// Writes text to a file in one step, by renaming a finished one into the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn write(&self, file: &str, text: &str) -> Result<(), Error> {
        let (draft, path) = (self.scratch.path().join(file), self.folder.join(file));
        let done = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path));
        done.map_err(Error::io(format!("write {}", path.display())))
    }

    /// Writes text into the file itself, as an editor without a draft does: for a moment the file
    /// is empty or half there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn write_in_place(&self, file: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(file);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is none.
    pub fn remove(&self, file: &str) -> Result<(), Error> {
        let path = self.folder.join(file);
        fs::remove_file(&path).map_err(Error::io(format!("remove {}", path.display())))
    }
}

/// Several documents of one file; JSON is YAML.
fn documents<V: Into<Value> + Clone>(objects: &[V]) -> String {
    let documents = objects.iter().cloned().map(|object| format!("{:#}\n", object.into()));
    documents.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_come_and_go_and_the_folder_with_them() {
        let manifests = Manifests::new().expect("a folder");
        manifests.apply("a.yaml", &[json!({"kind": "A"}), json!({"kind": "B"})]).expect("write");
        let text = fs::read_to_string(manifests.path().join("a.yaml")).expect("read");
        assert_eq!(text.matches("---\n").count(), 1);
        manifests.write_in_place("a.yaml", "kind: C\n").expect("write");
        manifests.remove("a.yaml").expect("remove");
        assert_eq!(fs::read_dir(manifests.path()).expect("list").count(), 0);
        let scratch = manifests.scratch.path().to_owned();
        drop(manifests);
        assert!(!scratch.exists());
    }
}
