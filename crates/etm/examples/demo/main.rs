//! The demo: etm on this machine, scene by scene, with real processes and measured figures.
//!
//! Run it with `cargo xtask demo` (or `make demo`), which builds what it starts. It works in
//! namespaces, a cgroup and pins of its own, and removes them at the end.
#![forbid(unsafe_code)]

mod cast;
mod crowd;
mod files;
mod interrupt;
mod leftovers;
mod measure;
mod member;
mod report;
mod scenes;
mod screen;
mod stage;
mod stream;
mod town;

use std::{process::ExitCode, time::Instant};

use clap::{Parser, Subcommand};

use crate::{leftovers::Leftovers, report::Report, scenes::Scene, screen::time, stage::Stage};

/// How a shell shows a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Shows etm on this machine, scene by scene.
#[derive(Debug, Parser)]
#[command(name = "demo", max_term_width = 100)]
struct Arguments {
    /// Play only this scene; may be given several times.
    #[arg(long = "scene", value_name = "NAME", value_parser = names())]
    scenes: Vec<String>,

    /// Play the scenes with a real Kubernetes too; `make demo` builds one for them first.
    #[arg(long)]
    cluster: bool,

    /// List the scenes and end.
    #[arg(long)]
    list: bool,

    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One round of scene `cost`, in a process of its own.
    #[command(hide = true)]
    Measure(measure::MeasureArgs),
}

fn names() -> clap::builder::PossibleValuesParser {
    all(true).map(|scene| scene.name).collect::<Vec<_>>().into()
}

/// Every scene, or those that need no Kubernetes.
fn all(cluster: bool) -> impl Iterator<Item = &'static Scene> {
    scenes::ALL.iter().chain(scenes::CLUSTER.iter().filter(move |_| cluster))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(_) if interrupt::came() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Part::Measure(arguments)) = &arguments.part {
        return measure::run(arguments).map(|()| ExitCode::SUCCESS);
    }
    if arguments.list {
        for scene in all(true) {
            println!("{:<12} {}", scene.name, scene.title);
        }
        return Ok(ExitCode::SUCCESS);
    }
    etm_testkit::require_root()?;
    interrupt::watch()?;
    let wanted = |scene: &&Scene| {
        arguments.scenes.is_empty() || arguments.scenes.iter().any(|name| name == scene.name)
    };
    let asked = arguments.cluster || !arguments.scenes.is_empty();
    let scenes: Vec<&Scene> = all(asked).filter(wanted).collect();

    let started = Instant::now();
    let mut stage = Stage::build()?;
    introduce(&stage, started);
    let leftovers = Leftovers::of(&stage);
    let reports = play(&mut stage, &scenes);
    drop(stage);
    let left = leftovers.find();

    summarize(&scenes, &reports, &left);
    let failed = reports.iter().any(|report| !report.holds()) || !left.is_empty();
    println!("  {} in all", time(started.elapsed()));
    Ok(match (interrupt::came(), failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (_, true) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn introduce(stage: &Stage, started: Instant) {
    screen::part("The stage");
    let rows = stage.pods().map(|(name, member)| {
        let addresses: Vec<String> = member.addresses.iter().map(ToString::to_string).collect();
        let tcp = member.tcp.iter().map(|port| format!("{port}/TCP"));
        let ports: Vec<String> =
            tcp.chain(member.udp.iter().map(|port| format!("{port}/UDP"))).collect();
        vec![name.to_owned(), addresses.join(" "), ports.join(" ")]
    });
    screen::table(&["POD", "ADDRESSES", "LISTENS ON"], rows.collect(), &[]);
    screen::note(
        "each a network namespace with a server; the agent follows a copy of examples/shop",
    );
    screen::note(stage.ready_line());
    screen::note(format_args!("built in {}", time(started.elapsed())));
}

/// Plays until the last scene, or until a signal comes.
fn play(stage: &mut Stage, scenes: &[&Scene]) -> Vec<Report> {
    let mut reports = Vec::new();
    for (number, scene) in (1..).zip(scenes) {
        screen::heading(number, scene.title, scene.about);
        let mut report = Report::default();
        if let Err(error) = (scene.play)(stage, &mut report) {
            if interrupt::came() {
                break;
            }
            report.abort(&error);
        }
        reports.push(report);
    }
    reports
}

fn summarize(scenes: &[&Scene], reports: &[Report], left: &[String]) {
    screen::part(if interrupt::came() { "Interrupted" } else { "Summary" });
    let rows = scenes.iter().zip(reports).map(|(scene, report)| {
        vec![scene.name.into(), screen::result(report.holds()), report.figure().into()]
    });
    screen::table(&["SCENE", "RESULT", "KEY FIGURE"], rows.collect(), &[]);
    let removed = if left.is_empty() {
        "everything that the demo made is removed".to_owned()
    } else {
        format!("left behind: {}", left.join(", "))
    };
    screen::verdict(left.is_empty(), removed);
    for (scene, report) in scenes.iter().zip(reports).filter(|(_, report)| !report.holds()) {
        screen::verdict(false, format_args!("scene {}: {}", scene.name, report.figure()));
    }
}
