use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{Stream, StreamExt as _, task::AtomicWaker};

/// A stream that is looked at only once it has called: where one task waits for many, each event of one
/// would otherwise have all of the others looked through, and they lie far apart in memory.
pub(super) struct Wakeful<S> {
    stream: S,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What the stream wakes instead of the task.
struct Bell {
    has_rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<S> Wakeful<S> {
    pub(super) fn new(stream: S) -> Self {
        // Nobody calls before the first look.
        let bell = Arc::new(Bell { has_rung: true.into(), task: AtomicWaker::new() });
        Self { stream, waker: Arc::clone(&bell).into(), bell }
    }
}

impl<S: Stream + Unpin> Stream for Wakeful<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        // Before the look at the bell: who rings it in between wakes this task.
        self.bell.task.register(context.waker());
        if !self.bell.has_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let Self { stream, bell, waker } = &mut *self;
        let item = stream.poll_next_unpin(&mut Context::from_waker(waker));
        if item.is_ready() {
            // It calls only after a look that found nothing.
            bell.has_rung.store(true, Ordering::Release);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use futures_util::{FutureExt as _, StreamExt as _, stream::poll_fn};
    use tokio::{join, sync::mpsc::unbounded_channel};

    use super::Wakeful;

    #[tokio::test]
    async fn one_that_has_not_called_is_not_looked_at() {
        let (send, mut receive) = unbounded_channel();
        let looks = Rc::new(Cell::new(0));
        let mut wakeful = Wakeful::new(poll_fn(|context| {
            looks.set(looks.get() + 1);
            receive.poll_recv(context)
        }));
        for _ in 0..3 {
            assert_eq!(wakeful.next().now_or_never(), None);
        }
        assert_eq!(looks.get(), 1);
        send.send(1).unwrap();
        send.send(2).unwrap();
        assert_eq!(wakeful.next().now_or_never(), Some(Some(1)));
        assert_eq!(wakeful.next().now_or_never(), Some(Some(2)));
        assert_eq!(wakeful.next().now_or_never(), None);
        assert_eq!(wakeful.next().now_or_never(), None);
        assert_eq!(looks.get(), 4);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_and_one_that_looked_before_it_is_not_missed() {
        let (send, mut receive) = unbounded_channel();
        let mut wakeful = Wakeful::new(poll_fn(|context| receive.poll_recv(context)));
        // Of this look nobody can be woken.
        assert_eq!(wakeful.next().now_or_never(), None);
        let rung = async {
            tokio::task::yield_now().await;
            send.send(1).unwrap();
        };
        assert_eq!(join!(wakeful.next(), rung).0, Some(1));
        drop(send);
        assert_eq!(wakeful.next().await, None);
    }
}
