//! `etm`, the eBPF Traffic Manager: sends connections to a Kubernetes Service straight to a Pod.
#![forbid(unsafe_code)]

mod admin;
mod agent;
mod cli;
mod config;
mod detach;
mod get;
mod install;
mod logging;
mod metrics;
mod state;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::cli::{Cli, Verb};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let matches = config::command()?.get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.verb {
        Verb::Agent(arguments) => agent::run(*arguments),
        Verb::Get(arguments) => get::run(&arguments),
        Verb::Detach(arguments) => detach::run(&arguments),
        Verb::Install(arguments) => install::run(arguments),
    }
}
