//! What was measured, against its budget, as a table for people.

use std::io::IsTerminal as _;

use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Figure {
    pub(crate) section: String,
    what: String,
    #[serde(deserialize_with = "number")]
    value: f64,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<bool>,
}

/// A number; JSON has none for what is not a number, and null stands for it.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Everything measured so far.
#[derive(Debug)]
pub struct Results {
    section: String,
    figures: Vec<Figure>,
}

impl Results {
    /// Nothing yet; what is added belongs to this section.
    pub fn of(section: impl Into<String>) -> Self {
        Self { section: section.into(), figures: Vec::new() }
    }

    /// What is added from now on belongs to this section, and takes the place of what an earlier run
    /// wrote down for it.
    pub fn begin(&mut self, section: impl Into<String>) {
        self.section = section.into();
    }

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
        let (section, unit) = (self.section.clone(), unit.to_owned());
        let budget = budget.map(Budget::text);
        self.figures.push(Figure { section, what, value, unit, budget, holds });
    }

    /// Whether every budget is kept.
    pub fn hold(&self) -> bool {
        self.figures.iter().all(|figure| figure.holds != Some(false))
    }

    /// Prints the table.
    pub fn print(&self) {
        print(self.figures.iter());
    }

    /// Prints the figures that have a budget.
    pub fn print_judged(&self) {
        print(self.figures.iter().filter(|figure| figure.budget.is_some()));
    }

    /// The figures, in the order in which they were added.
    pub(crate) fn into_figures(self) -> Vec<Figure> {
        self.figures
    }
}

fn print<'a>(figures: impl Iterator<Item = &'a Figure>) {
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
            Cell::new(&figure.unit),
            Cell::new(figure.budget.as_deref().unwrap_or_default()),
            Cell::new(word).fg(color),
        ]);
    }
    println!("{table}");
}
