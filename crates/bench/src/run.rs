//! One run of a bench: its sections in order, then the table and the files.

use std::{collections::BTreeMap, fmt::Debug, path::Path, process::ExitCode, time::Instant};

use clap::ValueEnum;

use crate::{
    document::{Document, Machine},
    results::{Figure, Results},
};

/// A part of a bench that can be run alone.
pub trait Section: ValueEnum + Copy + Debug + PartialEq + 'static {
    /// The bench whose document has its figures, where that is not the one that it is a part of.
    fn document(self) -> Option<&'static str> {
        None
    }

    /// Its name, as `--only` takes it.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A bench under way.
#[derive(Debug)]
pub struct Run {
    name: &'static str,
    started: Instant,
    /// Sections whose figures belong to another bench's document, and to which.
    elsewhere: BTreeMap<String, &'static str>,
    /// What was measured so far; what is of no section has the bench's name for one.
    pub results: Results,
}

impl Run {
    /// Begins the run of a bench of this name.
    pub fn begin(name: &'static str) -> Self {
        let (started, elsewhere) = (Instant::now(), BTreeMap::new());
        Self { name, started, elsewhere, results: Results::of(name) }
    }

    /// Measures the sections that were asked for, all of them where none was, and says how long
    /// each took.
    pub fn sections<S: Section>(
        &mut self,
        asked: &[S],
        mut measure: impl FnMut(S, &mut Results) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for section in S::value_variants() {
            if !asked.is_empty() && !asked.contains(section) {
                continue;
            }
            let since = Instant::now();
            eprintln!("measuring {section:?} ...");
            self.results.begin(section.name());
            if let Some(document) = section.document() {
                self.elsewhere.insert(section.name(), document);
            }
            measure(*section, &mut self.results)?;
            eprintln!("measured {section:?} in {:.0} s", since.elapsed().as_secs_f64());
        }
        self.results.begin(self.name);
        Ok(())
    }

    /// Prints what was measured, writes it, and fails where a budget is missed.
    pub fn end(self) -> anyhow::Result<ExitCode> {
        self.results.print();
        self.write()
    }

    /// The same, for a bench that has a table of its own: prints only what has a budget.
    pub fn end_judged(self) -> anyhow::Result<ExitCode> {
        self.results.print_judged();
        self.write()
    }

    /// Writes to the tree, wherever cargo's target directory may be.
    fn write(self) -> anyhow::Result<ExitCode> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        let (machine, took) = (Machine::this()?, self.started.elapsed().as_secs_f64());
        let code = if self.results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        for document in self.documents(&machine) {
            println!("{} in {took:.0} s", document.write(&folder)?.display());
        }
        Ok(code)
    }

    /// The documents that have a part of it.
    fn documents(self, machine: &Machine) -> impl Iterator<Item = Document> {
        let mut documents: BTreeMap<&str, Vec<Figure>> = BTreeMap::new();
        for figure in self.results.into_figures() {
            let name = self.elsewhere.get(&figure.section).copied().unwrap_or(self.name);
            documents.entry(name).or_default().push(figure);
        }
        documents.into_iter().map(|(name, results)| Document {
            name: name.to_owned(),
            machine: machine.clone(),
            results,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
    enum Part {
        PlainHits,
        Routes,
    }

    impl Section for Part {
        fn document(self) -> Option<&'static str> {
            (self == Self::Routes).then_some("other")
        }
    }

    /// The sections that stand in each document after a run.
    fn run(asked: &[Part]) -> Vec<(String, Vec<String>)> {
        let mut run = Run::begin("bench");
        run.results.tell("before", 1.0, "");
        run.sections(asked, |part, results| {
            results.tell(format!("{part:?}"), 2.0, "");
            Ok(())
        })
        .unwrap();
        run.results.tell("after", 3.0, "");
        let machine = Machine::this().unwrap();
        let documents = run.documents(&machine);
        let sections = |document: Document| {
            let figures = document.results.into_iter();
            (document.name, figures.map(|figure| figure.section).collect())
        };
        documents.map(sections).collect()
    }

    #[test]
    fn figures_stand_under_their_section_in_its_document() {
        let of = |name: &str, sections: &[&str]| {
            (name.to_owned(), sections.iter().map(|section| (*section).to_owned()).collect())
        };
        let other = of("other", &["routes"]);
        assert_eq!(run(&[]), [of("bench", &["bench", "plain-hits", "bench"]), other.clone()]);
        assert_eq!(run(&[Part::Routes]), [of("bench", &["bench", "bench"]), other]);
        assert_eq!(run(&[Part::PlainHits]), [of("bench", &["bench", "plain-hits", "bench"])]);
    }
}
