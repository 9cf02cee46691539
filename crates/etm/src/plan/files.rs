//! The files with the objects to be planned.

use std::{
    fs,
    io::{Read as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use etm_source::Supposed;

/// Reads all files; `-` is standard input. Releases that have not begun are taken at a step.
pub(super) fn read(
    files: &[PathBuf],
    step: usize,
    proxy: Option<&str>,
) -> anyhow::Result<Supposed> {
    let mut supposed = Supposed::default();
    for file in files {
        let (name, text) = text(file)?;
        supposed
            .add(&name, &text, proxy)
            .map_err(|problem| anyhow!("{}: {}", problem.object, problem.reason))?;
    }
    if supposed.is_empty() {
        let told: Vec<_> = supposed.problems().map(|problem| format!("\n  {problem}")).collect();
        bail!("there is nothing to plan{}", told.concat());
    }
    supposed.at_step(step).map_err(|problem| anyhow!("{problem}"))
}

fn text(file: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        stdin().read_to_end(&mut text).context("could not read standard input")?;
        return Ok(("standard input".to_owned(), text));
    }
    let text = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    Ok((file.display().to_string(), text))
}
