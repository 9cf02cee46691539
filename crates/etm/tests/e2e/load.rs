//! Connections in a loop while the world changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use etm_testkit::{Call, Caller};

use etm_testkit::wait::until;

/// A caller that makes one call after the other until it is stopped.
pub(crate) struct Load {
    stopped: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Vec<Call>>>,
}

impl Load {
    pub(crate) fn start(caller: &Caller, target: SocketAddr) -> Self {
        let mut session = caller.session(target).expect("a session");
        let (stopped, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = spawn({
            let (stopped, made) = (Arc::clone(&stopped), Arc::clone(&made));
            move || {
                let mut failed = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let call = session.call().expect("a call");
                    if !call.answered() || call.error.is_some() {
                        failed.push(call);
                    }
                    made.fetch_add(1, Ordering::Relaxed);
                }
                failed
            }
        });
        Self { stopped, made, thread: Some(thread) }
    }

    /// Waits until some more calls have been made from start to end.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        // The one that is under way counts from now on only once it is done.
        let wanted = self.made.load(Ordering::Relaxed) + 20;
        until("the load goes on", || self.made.load(Ordering::Relaxed) >= wanted);
    }

    /// Ends it, and makes sure that no call failed.
    #[track_caller]
    pub(crate) fn assert_no_failure(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a thread");
        let failed = thread.join().expect("the load ran");
        let made = self.made.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of {made} failed: {:?}", failed.len(), failed.first());
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
