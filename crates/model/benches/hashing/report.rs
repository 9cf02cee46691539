//! What was measured, as a table to read and as figures with budgets.

use std::io::IsTerminal as _;

use comfy_table::{CellAlignment, Table, presets};
use etm_bench::results::{Budget, Results};

use crate::{
    algorithms::Algorithm,
    backends::{Change, Weights},
    cost::Cost,
    movement::{Effort, Movement, Seen},
};

/// Everything about one algorithm at one size.
pub(crate) struct Row<'a> {
    pub(crate) algorithm: &'a Algorithm,
    pub(crate) size: usize,
    pub(crate) weights: Weights,
    pub(crate) effort: Effort,
    pub(crate) movement: Movement,
    /// The spread that as many keys as there are positions have by chance alone.
    pub(crate) chance: Seen,
    pub(crate) cost: Cost,
}

/// The table to read.
#[derive(Debug)]
pub(crate) struct Report(Table);

impl Default for Report {
    fn default() -> Self {
        let mut table = Table::new();
        let drawn = std::io::stdout().is_terminal();
        table.load_style(if drawn { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
        table.set_header([
            "BACKENDS",
            "WEIGHTS",
            "ALGORITHM",
            "SETS",
            "REMOVAL %",
            "ADDITION %",
            "WEIGHT %",
            "SPREAD",
            "CHANCE",
            "BUILD ms",
            "CHANGE ms",
            "LOOK-UP ns",
            "KiB",
        ]);
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self(table)
    }
}

impl Report {
    /// Adds a row, and its figures to the results.
    pub(crate) fn add(&mut self, row: &Row<'_>, results: &mut Results) {
        let percent = |seen: &Seen| format!("{:.4} {:.4}", seen.mean() * 100.0, seen.worst * 100.0);
        let Row { movement, cost, .. } = row;
        let mut cells = vec![
            row.size.to_string(),
            row.weights.name().to_owned(),
            row.algorithm.name.to_owned(),
            format!(
                "{}, {}x{}",
                row.effort.spreads,
                row.effort.sets,
                row.effort.changes.min(row.size)
            ),
        ];
        cells.extend(movement.collateral.iter().map(percent));
        cells.push(format!("{:.3} {:.3}", movement.spread.mean(), movement.spread.worst));
        cells.push(format!("{:.3} {:.3}", row.chance.mean(), row.chance.worst));
        cells.push(format!("{:.3}", cost.build));
        cells.push(format!("{:.3}", cost.change));
        cells.push(format!("{:.1}", cost.look_up));
        cells.push(format!("{:.0}", cost.memory));
        self.0.add_row(cells);
        row.record(results);
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        println!("{}", self.0);
        println!("SETS: of names, for the spread; for the rest, with changes of each kind");
        println!("CHANCE: the spread of as many keys on backends drawn at random");
        println!("two figures in a column: mean and worst\n");
    }
}

impl Row<'_> {
    fn record(&self, results: &mut Results) {
        let ours = self.algorithm.ours;
        let (name, size, weights) = (self.algorithm.name, self.size, self.weights.name());
        let mut figure = |what: &str, value, unit, budget: Option<f64>| {
            let what = format!("{name}, {size} backends, {weights}: {what}");
            match budget.filter(|_| ours) {
                Some(bound) => results.judge(what, value, unit, Budget::AtMost(bound)),
                None => results.tell(what, value, unit),
            }
        };
        let moved = if size <= 32 { 0.0 } else { 0.1 };
        for (change, seen) in Change::ALL.into_iter().zip(&self.movement.collateral) {
            let change = change.name();
            figure(&format!("collateral of {change}, mean"), seen.mean() * 100.0, "%", None);
            let what = format!("collateral of {change}, worst of {}", seen.count);
            figure(&what, seen.worst * 100.0, "%", Some(moved));
        }
        let spread = &self.movement.spread;
        figure("spread, mean", spread.mean(), "ratio", None);
        figure("spread that chance alone gives, worst", self.chance.worst, "ratio", None);
        // Where nothing may move that need not, what the number of keys gives is given.
        let most = match size {
            ..=32 => self.chance.worst.max(1.05),
            33..1_000 => 1.05,
            _ => 1.06,
        };
        let most = (most * 1000.0).round() / 1000.0;
        figure(&format!("spread, worst of {}", spread.count), spread.worst, "ratio", Some(most));
        let hundred = |budget| (size == 100).then_some(budget);
        figure("time to build", self.cost.build, "ms", hundred(2.0));
        figure("time to take in a change", self.cost.change, "ms", hundred(2.0));
        figure("time to look up", self.cost.look_up, "ns", None);
        figure("memory besides the list of backends", self.cost.memory, "KiB", Some(128.0));
    }
}
