use std::{io, thread};

use anyhow::Context as _;
use etm_abi::{Ejection, Event};
use etm_dataplane::{Dataplane, Ejections, Events};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait for the agent. While it is busy they stay in the kernel's ring buffers, and
/// what does not fit there is counted by the kernel.
const WAITING: usize = 64;

/// What the kernel's programs tell.
pub(super) enum Told {
    /// A call was refused.
    Refused(Event),
    /// A backend was taken out of service, or is back.
    Health(Ejection),
}

/// What the kernel's programs tell, as it comes.
pub(super) struct EventStream(Receiver<Told>);

impl EventStream {
    pub(super) fn open(dataplane: &Dataplane) -> anyhow::Result<Self> {
        let (events, ejections) = (dataplane.events()?, dataplane.ejections()?);
        let (sender, receiver) = channel(WAITING);
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || forward(events, ejections, &sender))
            .context("could not start a thread")?;
        Ok(Self(receiver))
    }

    /// Waits for the next; none when no more can come. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Told> {
        self.0.recv().await
    }
}

/// Waits for events until nobody takes them any more. Of those that wait at the same time, the
/// ejections come first: they are few, and something follows from them.
fn forward(mut events: Events, mut ejections: Ejections, sender: &Sender<Told>) {
    loop {
        let wanted = [PollFd::new(&ejections, PollFlags::IN), PollFd::new(&events, PollFlags::IN)];
        let ready = poll(&mut { wanted }, None);
        if ready.map_err(io::Error::from).is_err_and(|e| e.kind() != io::ErrorKind::Interrupted) {
            return;
        }
        let told = ejections.by_ref().map(Told::Health).chain(events.by_ref().map(Told::Refused));
        for told in told {
            if sender.blocking_send(told).is_err() {
                return;
            }
        }
    }
}
