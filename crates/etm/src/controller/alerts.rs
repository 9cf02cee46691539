use etm_monitor::{Listener, ListenerError, Notification};

use crate::cli::MonitorArgs;

/// The listener for Alertmanager, where one is asked for.
pub(super) struct Alerts(Option<Listener>);

impl Alerts {
    pub(super) async fn open(arguments: &MonitorArgs) -> Result<Self, ListenerError> {
        let Some(address) = arguments.alerts else { return Ok(Self(None)) };
        Listener::open(address, arguments.alerts_token_file.clone()).await.map(Some).map(Self)
    }

    /// Whether this process is the one that hears.
    pub(super) fn set_leading(&self, leads: bool) {
        if let Some(listener) = &self.0 {
            listener.set_leading(leads);
        }
    }

    /// Waits for what Alertmanager sends. Cancel safe.
    pub(super) async fn next(&mut self) -> Notification {
        match &mut self.0 {
            Some(listener) => listener.next().await,
            None => std::future::pending().await,
        }
    }
}
