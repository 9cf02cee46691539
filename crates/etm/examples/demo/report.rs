//! What a scene found.

use std::fmt::Display;

use crate::screen;

/// The checks of one scene and the figure that stands for it.
#[derive(Default)]
pub(crate) struct Report {
    failed: Vec<String>,
    key: String,
}

impl Report {
    /// A check that fails the scene when it does not hold.
    pub(crate) fn check(&mut self, holds: bool, what: impl Display) {
        screen::verdict(holds, &what);
        if !holds {
            self.failed.push(what.to_string());
        }
    }

    /// The scene could not go on.
    pub(crate) fn abort(&mut self, error: &anyhow::Error) {
        let what = format!("{error:#}");
        screen::verdict(false, &what);
        self.failed.push(what);
    }

    /// The figure that the summary shows.
    pub(crate) fn key(&mut self, figure: impl Display) {
        self.key = figure.to_string();
    }

    /// Whether every check held.
    pub(crate) fn holds(&self) -> bool {
        self.failed.is_empty()
    }

    /// What the summary shows: the key figure, or what failed.
    pub(crate) fn figure(&self) -> String {
        self.failed.first().map_or_else(|| self.key.clone(), Clone::clone)
    }
}
