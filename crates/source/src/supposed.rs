//! Objects that are not there yet, taken in to see what they would change.

use std::sync::Arc;

use etm_model::Problem;

use crate::{
    convert::Routes,
    manifest::{self, Declared, File, Object},
};

/// Objects of files that nobody has applied. Of an object that several of them have the last counts.
#[derive(Clone, Debug, Default)]
pub struct Supposed {
    files: Vec<(Arc<str>, File)>,
}

impl Supposed {
    /// Adds what a text declares, as a directory of manifests is read; `file` is its name for
    /// problems, and `proxy` the name of this proxy.
    ///
    /// # Errors
    ///
    /// Where it is no whole list of manifests.
    pub fn add(&mut self, file: &str, text: &[u8], proxy: Option<&str>) -> Result<(), Problem> {
        let parsed = manifest::parse(file, text, proxy)?;
        // No file of a directory has this name.
        self.files.push((format!("{file}/").into(), parsed));
        Ok(())
    }

    /// The same, with releases that have not begun at one of their steps, counted from 0.
    ///
    /// # Errors
    ///
    /// Where one has fewer steps.
    pub fn at_step(mut self, step: usize) -> Result<Self, Problem> {
        let objects = self.files.iter_mut().flat_map(|(_, file)| &mut file.objects);
        for declared in objects {
            let Object::Release(release) = &*declared.object else { continue };
            let Some(Routes { owner, routes }) = release.at(step) else {
                let steps = release.steps();
                return Err(Problem {
                    object: declared.object.key().to_string(),
                    field: "spec.strategy".into(),
                    reason: format!("has {steps} steps, counted from 0: there is none {step}"),
                    hint: "name one of them".into(),
                });
            };
            declared.object = Arc::new(Object::Routes(owner, routes));
        }
        Ok(self)
    }

    /// What of it is left out or not as it was written.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.files.iter().flat_map(|(_, file)| {
            let objects = file.objects.iter().flat_map(|declared| &declared.problems);
            file.problems.iter().chain(objects)
        })
    }

    /// How many objects it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.iter().map(|(_, file)| file.objects.len()).sum()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn into_files(self) -> Vec<(Arc<str>, File)> {
        self.files
    }

    pub(crate) fn into_objects(self) -> impl Iterator<Item = Declared> {
        self.files.into_iter().flat_map(|(_, file)| file.objects)
    }
}
