//! `etm`, the eBPF Traffic Manager: sends connections to a Kubernetes Service straight to a Pod.
#![forbid(unsafe_code)]

mod admin;
mod agent;
mod balancing;
mod cli;
mod config;
mod controller;
mod detach;
mod explain;
mod get;
mod install;
mod logging;
mod metrics;
mod output;
mod plan;
mod problems;
mod release;
mod state;

use std::process::ExitCode;

use clap::FromArgMatches as _;
use etm_model::with_causes;

use crate::cli::{Cli, Verb};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let matches = config::command()?.get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.verb {
        Verb::Agent(arguments) => agent::run(*arguments),
        Verb::Controller(arguments) => controller::run(*arguments),
        Verb::Get(arguments) => get::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Plan(arguments) => plan::run(&arguments),
        Verb::Release(arguments) => release::run(arguments),
        Verb::Detach(arguments) => detach::run(&arguments),
        Verb::Install(arguments) => install::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::with_causes;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("no such file").context("cannot read x: no such file").context("bad x");
        assert_eq!(with_causes(error.as_ref()), "bad x: cannot read x: no such file");
    }
}
