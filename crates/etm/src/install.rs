//! `etm install`.

use anyhow::Context as _;
use etm_install::{Cluster, Objects, Outcome, Parameters};

use crate::cli::{InstallArgs, StaleConnections, UnknownPort};

pub(crate) fn run(arguments: InstallArgs) -> anyhow::Result<()> {
    let objects = Objects::new(&parameters(&arguments))?;
    if !arguments.apply && !arguments.remove {
        print!("{}", objects.to_yaml()?);
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start")?
        .block_on(change(arguments, &objects))
}

async fn change(arguments: InstallArgs, objects: &Objects) -> anyhow::Result<()> {
    let cluster = Cluster::open(arguments.kubeconfig.as_deref(), arguments.context).await?;
    let told = |object: &str, outcome: Outcome| println!("{object} {outcome}");
    if arguments.remove {
        cluster.remove(objects, told).await?;
    } else {
        cluster.apply(objects, told).await?;
    }
    Ok(())
}

fn parameters(arguments: &InstallArgs) -> Parameters {
    let mut controller_environment = Vec::new();
    if !arguments.api_server.is_empty() {
        let servers = ("ETM_API_SERVER".to_owned(), arguments.api_server.join(","));
        controller_environment.push(servers);
    }
    let mut environment = controller_environment.clone();
    if arguments.unknown_port == UnknownPort::Refuse {
        environment.push(("ETM_UNKNOWN_PORT".to_owned(), "refuse".to_owned()));
    }
    let detach = ["detach", "--stay"].map(str::to_owned).to_vec();
    Parameters {
        namespace: arguments.namespace.clone(),
        image: arguments.image.clone(),
        environment,
        controller_environment,
        keep_stale: arguments.stale_connections == StaleConnections::Keep,
        outcomes: arguments.outcomes.clone(),
        arguments: arguments.detach.then_some(detach),
    }
}
