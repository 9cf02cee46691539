//! `etm get`: what the kernel's maps hold.

mod backends;
mod callers;
mod counters;
mod services;

pub(crate) use counters::describe;

use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use etm_dataplane::{View, cgroup2_root};
use serde::Serialize;

use crate::cli::{GetArgs, Output, Resource};

pub(crate) fn run(arguments: &GetArgs) -> anyhow::Result<()> {
    let view = View::open(&arguments.pin.pin)?;
    let filter = arguments.name.as_deref().unwrap_or_default();
    match arguments.what {
        Resource::Services => print(&services::rows(&view.contents()?, filter), arguments.output),
        Resource::Backends => print(&backends::rows(&view.contents()?, filter), arguments.output),
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
    fn cells(&self) -> Vec<String>;
}

fn print<R: Row>(rows: &[R], output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => format!("{}\n", table(rows)),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(rows)?),
        Output::Yaml => serde_saphyr::to_string(&rows).context("could not write YAML")?,
    };
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        // Whoever reads has seen enough: `etm get backends | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}

fn table<R: Row>(rows: &[R]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A serial console says that it has no columns at all.
    if stdout().is_terminal() && table.width().is_some_and(|width| width > 0) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(R::HEADER.to_vec());
    table.add_rows(rows.iter().map(Row::cells));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Name of a Service port; frontends whose name is missing show their id.
fn service_name(contents: &etm_model::Contents, id: u32) -> String {
    contents.service_names.get(&id).cloned().unwrap_or_else(|| format!("(service {id})"))
}
