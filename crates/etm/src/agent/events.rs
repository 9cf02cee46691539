use std::io;

use etm_abi::Event;
use etm_dataplane::{Dataplane, Events, MapError};
use tokio::io::{Interest, unix::AsyncFd};

/// The kernel's refusals, as they come.
pub(super) struct EventStream(AsyncFd<Events>);

impl EventStream {
    pub(super) fn open(dataplane: &Dataplane) -> anyhow::Result<Self> {
        let events: Result<Events, MapError> = dataplane.events();
        Ok(Self(AsyncFd::with_interest(events?, Interest::READABLE)?))
    }

    /// Waits for the next refusal. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Event> {
        loop {
            let mut ready = self.0.readable_mut().await?;
            if let Some(event) = ready.get_inner_mut().next() {
                return Ok(event);
            }
            ready.clear_ready();
        }
    }
}
