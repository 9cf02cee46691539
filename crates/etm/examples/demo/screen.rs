//! What the demo writes: colours and drawn tables on a terminal, plain lines elsewhere.

use std::{fmt::Display, io::IsTerminal as _, time::Duration};

use anstream::println;
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Color, Table, presets};

const HEADING: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// The number and title of a scene, and what it shows.
pub(crate) fn heading(number: usize, title: &str, about: &str) {
    println!("\n{HEADING}{number}. {title}{HEADING:#}\n{QUIET}{about}{QUIET:#}\n");
}

/// The title of a part that is no scene.
pub(crate) fn part(title: &str) {
    println!("\n{HEADING}{title}{HEADING:#}\n");
}

/// One figure.
pub(crate) fn fact(what: &str, value: impl Display) {
    println!("  {what:<46} {value}");
}

/// A line between the figures.
pub(crate) fn note(text: impl Display) {
    println!("  {QUIET}{text}{QUIET:#}");
}

/// Whether something holds.
pub(crate) fn verdict(holds: bool, what: impl Display) {
    let (style, word) = if holds { (GOOD, "ok") } else { (BAD, "FAILED") };
    println!("  {style}{word:<6}{style:#} {what}");
}

/// A table; columns after the first are numbers where `numbers` says so.
pub(crate) fn table<C: Into<Cell>>(header: &[&str], rows: Vec<Vec<C>>, numbers: &[usize]) {
    let drawn = std::io::stdout().is_terminal();
    let mut table = Table::new();
    table.load_style(if drawn { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    table.set_header(header.to_vec());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding(if drawn { (1, 1) } else { (0, 2) });
        if numbers.contains(&column.index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        println!("  {}", line.trim_end());
    }
    println!();
}

/// A cell of a table that says whether something holds.
pub(crate) fn result(holds: bool) -> Cell {
    let (color, word) = if holds { (Color::Green, "ok") } else { (Color::Red, "FAILED") };
    Cell::new(word).fg(color)
}

/// A time as people read it.
pub(crate) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} us"),
        ..1_000_000.0 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// A part of a whole.
pub(crate) fn share(part: usize, whole: usize) -> String {
    format!("{:.1}%", percent(part, whole))
}

/// A part of a whole, in percent; 0 of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A bar as long as the share, where a terminal can draw it.
pub(crate) fn bar(part: usize, whole: usize) -> String {
    let length = (percent(part, whole) / 2.5).round() as usize;
    if std::io::stdout().is_terminal() { "█" } else { "#" }.repeat(length)
}
