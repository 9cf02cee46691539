use std::{io, thread};

use anyhow::Context as _;
use etm_abi::Event;
use etm_dataplane::{Dataplane, Events};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait for the agent. While it is busy they stay in the kernel's ring buffer, and what
/// does not fit there is counted by the kernel.
const WAITING: usize = 64;

/// The kernel's refusals, as they come.
pub(super) struct EventStream(Receiver<Event>);

impl EventStream {
    pub(super) fn open(dataplane: &Dataplane) -> anyhow::Result<Self> {
        let events = dataplane.events()?;
        let (sender, receiver) = channel(WAITING);
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || forward(events, &sender))
            .context("could not start a thread")?;
        Ok(Self(receiver))
    }

    /// Waits for the next refusal; none when no more can come. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// Waits for events until nobody takes them any more.
fn forward(mut events: Events, sender: &Sender<Event>) {
    loop {
        let ready = poll(&mut [PollFd::new(&events, PollFlags::IN)], None);
        if ready.map_err(io::Error::from).is_err_and(|e| e.kind() != io::ErrorKind::Interrupted) {
            return;
        }
        for event in events.by_ref() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    }
}
