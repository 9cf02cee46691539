use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// What is logged unless `ETM_LOG` says otherwise. That a watch fails is told as a problem, once;
/// kube tells of each attempt.
const DEFAULT: &str = "info,kube_client=off,kube_runtime=off";

/// Logs to standard error; `ETM_LOG` chooses what.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("ETM_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    // no-color.org: whatever its value, if it has one.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !no_color)
        .with_target(false)
        .init();
}
