//! `etm get`: what the kernel's maps hold.

mod backends;
mod callers;
mod counters;
mod ejections;
mod routes;
mod services;

pub(crate) use counters::describe;

use std::io::{IsTerminal as _, stdout};

use comfy_table::{ContentArrangement, Table, presets};
use etm_dataplane::{View, cgroup2_root};
use etm_decide::Tables as _;
use etm_model::Contents;
use serde::Serialize;

use crate::{
    cli::{GetArgs, Output, Resource},
    output,
};

pub(crate) fn run(arguments: &GetArgs) -> anyhow::Result<()> {
    let view = View::open(&arguments.pin.pin)?;
    let filter = arguments.name.as_deref().unwrap_or_default();
    match arguments.what {
        Resource::Services => print(&services::rows(&view.contents()?, filter), arguments.output),
        Resource::Backends => {
            let live = view.live();
            let connections = |id| live.connections(id);
            let rows = backends::rows(&view.contents()?, &view.reasons()?, connections, filter);
            print(&rows, arguments.output)
        }
        Resource::Ejections => {
            let outcomes = |id| view.outcomes(id).unwrap_or_default();
            let rows = ejections::rows(&view.contents()?, &view.reasons()?, outcomes, filter);
            print(&rows, arguments.output)
        }
        Resource::Routes => {
            let rows = routes::rows(&view.contents()?, &view.callers()?, filter);
            print(&rows, arguments.output)
        }
        Resource::Callers => {
            let root = cgroup2_root().ok();
            print(&callers::rows(view.callers()?, root.as_deref(), filter), arguments.output)
        }
        Resource::Counters => print(&counters::rows(&view.counters()?, filter), arguments.output),
    }
}

/// One line of a listing.
trait Row: Serialize {
    const HEADER: &'static [&'static str];
    /// Columns that are left out where no row has anything in them.
    const SPARSE: &'static [&'static str] = &[];
    fn cells(&self) -> Vec<String>;
}

fn print<R: Row>(rows: &[R], output: Output) -> anyhow::Result<()> {
    output::print(rows, || format!("{}\n", table(rows)), output)
}

fn table<R: Row>(rows: &[R]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A serial console says that it has no columns at all.
    if stdout().is_terminal() && table.width().is_some_and(|width| width > 0) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let empty =
        |column: usize| cells.iter().all(|row| row.get(column).is_none_or(String::is_empty));
    let shown: Vec<_> = (0..R::HEADER.len())
        .filter(|column| !R::SPARSE.contains(&R::HEADER[*column]) || !empty(*column))
        .collect();
    table.set_header(shown.iter().map(|column| R::HEADER[*column]));
    for row in &cells {
        table.add_row(shown.iter().filter_map(|column| row.get(*column)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Name of a Service port; frontends whose name is missing show their id.
fn service_name(contents: &Contents, id: u32) -> String {
    contents.service_names.get(&id).cloned().unwrap_or_else(|| format!("(service {id})"))
}
