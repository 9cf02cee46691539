//! Options of `etm release`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    #[command(subcommand)]
    pub(crate) verb: ReleaseVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseVerb {
    /// Show how far it is, what it waits for, and what happened.
    Status(ReleaseStatusArgs),
    /// End the step that it is at, whatever its pause and its analysis say.
    Promote(ReleaseTarget),
    /// Keep it at its step until it is promoted.
    Pause(ReleaseTarget),
    /// Send everyone to the stable version again, of one that is not completed.
    Abort(ReleaseTarget),
    /// The same, also of one that is completed.
    Undo(ReleaseTarget),
}

/// Which release.
#[derive(Args, Debug)]
pub(crate) struct ReleaseTarget {
    /// Name of the release; the namespace is that of the kubeconfig's context where there is none.
    #[arg(value_name = "[NAMESPACE/]NAME")]
    pub(crate) name: String,

    /// How to reach the API server [default: $KUBECONFIG, then ~/.kube/config, then a Pod's service
    /// account].
    #[arg(long, env = "ETM_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one].
    #[arg(long, env = "ETM_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// How many seconds to wait until the controller has done what is asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseStatusArgs {
    #[command(flatten)]
    pub(crate) target: ReleaseTarget,

    /// Form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}
