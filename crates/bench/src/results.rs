//! What was measured, against its budget: a table for people, JSON for machines.

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use serde::Serialize;

/// A bound that a figure must keep.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Budget {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("<= {bound}"),
            Self::AtLeast(bound) => format!(">= {bound}"),
        }
    }
}

/// One figure; without a budget it only tells.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    cpus: usize,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    name: &'a str,
    machine: Machine,
    results: &'a [Figure],
}

/// Everything measured so far.
#[derive(Debug, Default)]
pub struct Results(Vec<Figure>);

impl Results {
    /// Adds a figure that must keep a budget.
    pub fn judge(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        budget: Budget,
    ) {
        self.add(what.into(), value, unit, Some(budget));
    }

    /// Adds a figure that only tells.
    pub fn tell(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.add(what.into(), value, unit, None);
    }

    fn add(&mut self, what: String, value: f64, unit: &'static str, budget: Option<Budget>) {
        // Judged as it is shown: the third decimal is what a run can tell.
        let value = (value * 1000.0).round() / 1000.0;
        let holds = budget.map(|budget| budget.holds(value));
        self.0.push(Figure { what, value, unit, budget: budget.map(Budget::text), holds });
    }

    /// Whether every budget is kept.
    pub fn hold(&self) -> bool {
        self.0.iter().all(|figure| figure.holds != Some(false))
    }

    /// Prints the table.
    pub fn print(&self) {
        Self::print_some(self.0.iter());
    }

    /// Prints the figures that have a budget.
    pub fn print_judged(&self) {
        Self::print_some(self.0.iter().filter(|figure| figure.budget.is_some()));
    }

    fn print_some<'a>(figures: impl Iterator<Item = &'a Figure>) {
        let mut table = Table::new();
        let drawn = std::io::stdout().is_terminal();
        table.load_style(if drawn { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
        table.set_header(["WHAT", "VALUE", "UNIT", "BUDGET", ""]);
        for figure in figures {
            let (word, color) = match figure.holds {
                Some(true) => ("holds", Color::Green),
                Some(false) => ("MISSED", Color::Red),
                None => ("", Color::Reset),
            };
            table.add_row([
                Cell::new(&figure.what),
                Cell::new(format!("{:.3}", figure.value)).set_alignment(CellAlignment::Right),
                Cell::new(figure.unit),
                Cell::new(figure.budget.as_deref().unwrap_or_default()),
                Cell::new(word).fg(color),
            ]);
        }
        println!("{table}");
    }

    /// Writes the JSON of a bench to the tree, wherever cargo's target directory may be, and says
    /// where.
    pub fn write(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/bench")
            .join(format!("{name}.json"));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let cpus = std::thread::available_parallelism()?.get();
        let machine = Machine { kernel, cpus };
        let document = Document { name, machine, results: &self.0 };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(&document)?;
        fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}
