use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// Logs to standard error; `ETM_LOG` chooses what, `info` unless set.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("ETM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // no-color.org: whatever its value, if it has one.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !no_color)
        .with_target(false)
        .init();
}
