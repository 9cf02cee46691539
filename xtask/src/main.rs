//! `cargo xtask VERB`: set-up, build of the kernel programs, tests, demo and benches.
#![forbid(unsafe_code)]

mod bpf;
mod build;
mod image;
mod lint;
mod process;
mod schemas;
mod setup;
mod step;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use workspace::Workspace;

const HELP: &str = "\
cargo xtask VERB

  setup              get this machine ready: packages, BPF toolchain, bpf-linker, mounts
  control-plane      build a Kubernetes control plane for the tests, once
  helm               build Helm for the tests, once
  gateway-api        fetch the Gateway API's definitions for the tests, once
  monitoring         unpack Prometheus and Alertmanager for the tests, once
  bpf                build the kernel programs to target/bpf/etm.o
  build [--release]  the kernel programs, then every binary
  schemas            write the definitions of etm's own kinds to deploy/
  image [PROFILE]    an image with nothing but a static etm, to target/image/etm.tar
  test [FILTER...]   set up, build, then test; FILTER as `cargo test` takes it
  demo [ARGS...]     set up, build, then run the demo
  practice [--etm]   set up, build, then run a cluster to practise on, with etm on it if asked
  bench [NAME] [ARGS...]
                     set up, build, then run the benches, or one: datapath, control,
                     health, grayscale, hashing
  lint               formatting, clippy with warnings denied, licences and duplicates
  ci                 lint, then test
  clean              remove what was built
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let (verb, rest) = match arguments {
        [] => ("help", &[][..]),
        [verb, rest @ ..] => (verb.as_str(), rest),
    };
    let workspace = Workspace::find()?;
    match verb {
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        "setup" => setup::run(&workspace).map(|_| ExitCode::SUCCESS),
        "control-plane" => setup::control_plane(&workspace).map(|_| ExitCode::SUCCESS),
        "monitoring" => setup::monitoring(&workspace).map(|()| ExitCode::SUCCESS),
        "gateway-api" => setup::gateway_api(&workspace).map(|()| ExitCode::SUCCESS),
        "helm" => setup::helm(&workspace).map(|()| ExitCode::SUCCESS),
        "bpf" => {
            let toolchain = setup::toolchain(&workspace)?;
            bpf::build(&workspace, &toolchain)?;
            Ok(ExitCode::SUCCESS)
        }
        "build" => build::build(&workspace, rest),
        "schemas" => schemas::write(&workspace).map(|()| ExitCode::SUCCESS),
        "image" => image::image(&workspace, rest),
        "test" => build::test(&workspace, rest),
        "demo" => build::demo(&workspace, rest),
        "practice" => build::practice(&workspace, rest),
        "bench" => build::bench(&workspace, rest),
        "lint" => lint::run(&workspace).map(|()| ExitCode::SUCCESS),
        "ci" => {
            lint::run(&workspace)?;
            build::test(&workspace, rest)
        }
        "clean" => build::clean(&workspace),
        other => bail!("there is no verb {other:?}\n\n{HELP}"),
    }
}
