//! One run of a bench: its sections in order, then the table and the file.

use std::{fmt::Debug, process::ExitCode, time::Instant};

use clap::ValueEnum;

use crate::results::Results;

/// A bench under way.
#[derive(Debug)]
pub struct Run {
    name: &'static str,
    started: Instant,
    /// What was measured so far.
    pub results: Results,
}

impl Run {
    /// Begins the run of a bench of this name.
    pub fn begin(name: &'static str) -> Self {
        Self { name, started: Instant::now(), results: Results::default() }
    }

    /// Measures the sections that were asked for, all of them where none was, and says how long
    /// each took.
    pub fn sections<Section: ValueEnum + Copy + Debug + PartialEq + 'static>(
        &mut self,
        asked: &[Section],
        mut measure: impl FnMut(Section, &mut Results) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for section in Section::value_variants() {
            if !asked.is_empty() && !asked.contains(section) {
                continue;
            }
            let since = Instant::now();
            eprintln!("measuring {section:?} ...");
            measure(*section, &mut self.results)?;
            eprintln!("measured {section:?} in {:.0} s", since.elapsed().as_secs_f64());
        }
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

    fn write(self) -> anyhow::Result<ExitCode> {
        let path = self.results.write(self.name)?;
        println!("{} in {:.0} s", path.display(), self.started.elapsed().as_secs_f64());
        Ok(if self.results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
