//! What was measured, as JSON for machines: a document a bench, which keeps of earlier runs what was
//! not measured again.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::results::Figure;

/// What figures may be compared within.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Machine {
    kernel: String,
    cpus: usize,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> anyhow::Result<Self> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        Ok(Self { kernel, cpus: std::thread::available_parallelism()?.get() })
    }
}

/// A bench's figures.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) machine: Machine,
    pub(crate) results: Vec<Figure>,
}

impl Document {
    /// Writes it to a folder, with the figures that an earlier run on such a machine wrote there of
    /// sections that have none now, and gives its path.
    pub(crate) fn write(mut self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(format!("{}.json", self.name));
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        match Self::read(&path) {
            Ok(Some(earlier)) if earlier.machine == self.machine => self.follow(earlier),
            Ok(Some(_)) => eprintln!("{}: of another machine, replaced", path.display()),
            Ok(None) => {}
            Err(error) => eprintln!("{}: {error:#}, replaced", path.display()),
        }
        let text = serde_json::to_string_pretty(&self)?;
        fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The document at a path, if there is a file.
    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).context("not such a document")?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("not readable"),
        }
    }

    /// Takes over what an earlier one has of other sections.
    fn follow(&mut self, earlier: Self) {
        let mut results = earlier.results;
        results.retain(|old| self.results.iter().all(|new| new.section != old.section));
        results.append(&mut self.results);
        self.results = results;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::results::{Budget, Results};

    fn document(kernel: &str, figures: &[(&str, &str, f64)]) -> Document {
        let mut results = Results::of("bench");
        for (section, what, value) in figures {
            results.begin(*section);
            results.judge(*what, *value, "ns", Budget::AtMost(60.0));
        }
        let machine = Machine { kernel: kernel.to_owned(), cpus: 2 };
        Document { name: "bench".to_owned(), machine, results: results.into_figures() }
    }

    /// The figures that stand in a folder after a document was written there.
    fn written(folder: &TempDir, document: Document) -> Vec<(String, String, f64)> {
        let path = document.write(folder.path()).unwrap();
        assert_eq!(path, folder.path().join("bench.json"));
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let text = |figure: &Value, field: &str| figure[field].as_str().unwrap().to_owned();
        let all = document["results"].as_array().unwrap().iter();
        let all = all.map(|figure| {
            (text(figure, "section"), text(figure, "what"), figure["value"].as_f64().unwrap())
        });
        all.collect()
    }

    fn expected(figures: &[(&str, &str, f64)]) -> Vec<(String, String, f64)> {
        let owned = figures
            .iter()
            .map(|(section, what, value)| ((*section).to_owned(), (*what).to_owned(), *value));
        owned.collect()
    }

    #[test]
    fn sections_that_were_not_run_keep_their_figures() {
        let folder = TempDir::new().unwrap();
        let first = [("hits", "a", 1.0), ("routes", "b", 2.0), ("routes", "c", 3.0)];
        assert_eq!(written(&folder, document("6.18", &first)), expected(&first));
        // `c` is no longer measured, and `d` is new.
        let second = [("routes", "b", 4.0), ("routes", "d", 5.0)];
        let both = [("hits", "a", 1.0), ("routes", "b", 4.0), ("routes", "d", 5.0)];
        assert_eq!(written(&folder, document("6.18", &second)), expected(&both));
    }

    #[test]
    fn a_document_of_another_machine_is_replaced() {
        let folder = TempDir::new().unwrap();
        written(&folder, document("6.18", &[("hits", "a", 1.0)]));
        let here = [("routes", "b", 2.0)];
        assert_eq!(written(&folder, document("6.19", &here)), expected(&here));
        let mut more = document("6.19", &[("hits", "a", 1.0)]);
        more.machine.cpus = 4;
        assert_eq!(written(&folder, more), expected(&[("hits", "a", 1.0)]));
    }

    #[test]
    fn what_is_no_document_is_replaced() {
        let folder = TempDir::new().unwrap();
        let here = [("routes", "b", 2.0)];
        let machine = json!({"kernel": "6.18", "cpus": 2});
        let without_section = json!([{"what": "a", "value": 1.0, "unit": "ns"}]);
        for text in [
            String::new(),
            "{".to_owned(),
            json!({"name": "bench", "machine": machine, "results": without_section}).to_string(),
        ] {
            fs::write(folder.path().join("bench.json"), text).unwrap();
            assert_eq!(written(&folder, document("6.18", &here)), expected(&here));
        }
    }

    #[test]
    fn the_first_run_makes_the_folder() {
        let folder = TempDir::new().unwrap();
        let inner = folder.path().join("target/bench");
        let path = document("6.18", &[("hits", "a", 1.0)]).write(&inner).unwrap();
        assert_eq!(path, inner.join("bench.json"));
        assert!(path.is_file());
    }

    #[test]
    fn a_figure_is_read_as_it_was_written() {
        let mut results = Results::of("hits");
        results.judge("a", 61.2344, "ns", Budget::AtMost(60.0));
        results.judge("b", 1.5, "ratio", Budget::AtLeast(1.25));
        results.tell("c", 7.0, "");
        let machine = Machine { kernel: "6.18".to_owned(), cpus: 2 };
        let name = "bench".to_owned();
        let document = Document { name, machine, results: results.into_figures() };
        let json = serde_json::to_value(&document).unwrap();
        let expected = json!({
            "name": "bench",
            "machine": {"kernel": "6.18", "cpus": 2},
            "results": [
                {"section": "hits", "what": "a", "value": 61.234, "unit": "ns",
                 "budget": "<= 60", "holds": false},
                {"section": "hits", "what": "b", "value": 1.5, "unit": "ratio",
                 "budget": ">= 1.25", "holds": true},
                {"section": "hits", "what": "c", "value": 7.0, "unit": ""},
            ],
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Document>(json).unwrap(), document);
    }

    #[test]
    fn what_is_not_a_number_does_not_spoil_the_document() {
        let folder = TempDir::new().unwrap();
        document("6.18", &[("hits", "a", f64::NAN)]).write(folder.path()).unwrap();
        document("6.18", &[("routes", "b", 2.0)]).write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("bench.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["results"][0]["value"], Value::Null);
        assert_eq!(document["results"][0]["holds"], false);
        assert_eq!(document["results"][1]["section"], "routes");
    }
}
