//! The verbs that build and run: build, test, demo, bench, clean.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::bpf;
use crate::image::static_binary;
use crate::process::{exit_code, run, search_path};
use crate::setup;
use crate::workspace::Workspace;

/// Every bench with budgets, and its package.
const BENCHES: [(&str, &str); 5] = [
    ("datapath", "etm"),
    ("control", "etm"),
    ("health", "etm"),
    ("grayscale", "etm"),
    ("hashing", "etm-model"),
];

/// Those that need a Kubernetes control plane.
const CLUSTERED: [&str; 2] = ["control", "grayscale"];

/// `build [--release]`: the kernel object first, because `etm` embeds it.
pub(crate) fn build(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let release = match arguments {
        [] => false,
        [flag] if flag == "--release" => true,
        _ => bail!("build takes --release or nothing"),
    };
    let toolchain = setup::toolchain(workspace)?;
    bpf::build(workspace, &toolchain)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--workspace", "--bins"]);
    if release {
        cargo.arg("--release");
    }
    exit_code(&mut cargo)
}

/// `test [FILTER...]`: everything the tests need, then cargo's own output.
pub(crate) fn test(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    prepare(workspace)?;
    let assets = setup::for_tests(workspace)?;
    // Before the others, since it leaves its `etm` where theirs belongs.
    static_binary(workspace, "dev")?;
    // Tests start the programs of other packages, which `cargo test` does not build. Asking for
    // the tests as well gives the very dependencies that they will be built with.
    run(workspace.cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--workspace"])
        .args(arguments)
        .env("PATH", search_path())
        .env(setup::ASSETS, assets);
    if std::env::var_os("RUST_TEST_THREADS").is_none() && !arguments.iter().any(|a| a == "--") {
        cargo.env("RUST_TEST_THREADS", test_threads().to_string());
    }
    exit_code(&mut cargo)
}

/// Cargo's profile of what shows or measures: optimized, and soon built.
const LOCAL: &str = "local";

/// The demo's scenes for which a Kubernetes is built first; `--cluster` plays them all.
const KUBERNETES_SCENES: [&str; 4] = ["cluster", "release", "blue-green", "cohort"];

/// `demo [ARGS...]`: optimized, since it shows figures. The demo takes the place of this process, so
/// that whoever pressed Ctrl-C waits until it has removed what it made.
pub(crate) fn demo(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    prepare(workspace)?;
    let cluster =
        |argument: &String| KUBERNETES_SCENES.iter().any(|scene| argument.ends_with(scene));
    let assets =
        arguments.iter().any(cluster).then(|| setup::control_plane(workspace)).transpose()?;
    optimized(workspace, "--examples")?;
    let mut cargo = workspace.cargo();
    if let Some(assets) = assets {
        cargo.env(setup::ASSETS, assets);
    }
    cargo
        .args(["run", "--quiet", "--profile", LOCAL, "-p", "etm", "--example", "demo", "--"])
        .args(arguments)
        .env("PATH", search_path());
    Err(cargo.exec()).context("run the demo")
}

/// `practice [ARGS...]`: a cluster to practise on. It takes the place of this process, as the demo does.
pub(crate) fn practice(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    prepare(workspace)?;
    let assets = setup::control_plane(workspace)?;
    optimized(workspace, "--examples")?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["run", "--quiet", "--profile", LOCAL, "-p", "etm", "--example", "practice", "--"])
        .args(arguments)
        .env("PATH", search_path())
        .env(setup::ASSETS, assets);
    Err(cargo.exec()).context("run the cluster")
}

/// `bench [NAME] [ARGS...]`: one bench or all; each writes `target/bench/NAME.json`.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let asked = |name: &str| BENCHES.into_iter().find(|(bench, _)| *bench == name);
    let (benches, arguments) = match arguments {
        [name, rest @ ..] if let Some(bench) = asked(name) => (vec![bench], rest),
        _ => (BENCHES.to_vec(), arguments),
    };
    let cluster = benches.iter().any(|(name, _)| CLUSTERED.contains(name));
    // The model is measured without a kernel.
    if benches.iter().any(|(_, package)| *package == "etm") {
        prepare(workspace)?;
        optimized(workspace, "--benches")?;
    }
    let assets = cluster.then(|| setup::control_plane(workspace)).transpose()?;
    let mut code = ExitCode::SUCCESS;
    for (name, package) in benches {
        let mut cargo = workspace.cargo();
        cargo
            .args(["bench", "--profile", LOCAL, "-p", package, "--bench", name, "--"])
            .args(arguments)
            .env("PATH", search_path())
            .envs(assets.iter().map(|folder| (setup::ASSETS, folder)));
        let ended = exit_code(&mut cargo)?;
        // One that misses a budget keeps none of the others from being run.
        if ended != ExitCode::SUCCESS {
            code = ended;
        }
    }
    Ok(code)
}

/// `clean`: cargo's target directory and the kernel object.
pub(crate) fn clean(workspace: &Workspace) -> Result<ExitCode> {
    let object = bpf::object(workspace);
    if let Some(folder) = object.parent().filter(|folder| folder.exists()) {
        std::fs::remove_dir_all(folder)?;
    }
    exit_code(workspace.cargo().arg("clean"))
}

fn prepare(workspace: &Workspace) -> Result<()> {
    let toolchain = setup::run(workspace)?;
    bpf::build(workspace, &toolchain)
}

/// Demo and bench start `etm` and the testkit's programs from the same profile's directory.
fn optimized(workspace: &Workspace, targets: &str) -> Result<()> {
    let packages = ["-p", "etm", "-p", "etm-testkit"];
    let mut cargo = workspace.cargo();
    run(cargo.args(["build", "--profile", LOCAL, "--bins", targets]).args(packages))
}

/// Tests of the data path mostly wait, for namespaces, timers and the kernel's grace periods, so
/// twice the cores keeps the machine busy; beyond eight they only disturb each other's timing.
fn test_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores * 2).clamp(2, 8)
}
