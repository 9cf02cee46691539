//! Ctrl-C, SIGTERM and a closed terminal: the scene ends, everything is removed, and the exit code tells of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static CALLERS: OnceLock<PathBuf> = OnceLock::new();

/// Turns these signals into a flag from now on.
pub(crate) fn watch() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _entered = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        (interrupt?, terminate?, hangup?)
    };
    let watching = move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::SeqCst);
                // A scene may wait for a caller that has thousands of calls before it.
                if let Some(cgroup) = CALLERS.get() {
                    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
                }
            }
        });
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watching).context("start a thread")?;
    Ok(())
}

/// Names the cgroup whose processes an interrupt ends at once.
pub(crate) fn ends(cgroup: &Path) {
    // Set once: there is one stage.
    let _ = CALLERS.set(cgroup.to_owned());
}

/// Whether a signal came.
pub(crate) fn came() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails once a signal came.
pub(crate) fn check() -> anyhow::Result<()> {
    if came() { Err(anyhow::anyhow!("interrupted")) } else { Ok(()) }
}

/// Sleeps, or fails as soon as a signal comes.
pub(crate) fn sleep(time: Duration) -> anyhow::Result<()> {
    const STEP: Duration = Duration::from_millis(20);
    let mut left = time;
    while !left.is_zero() {
        check()?;
        thread::sleep(left.min(STEP));
        left = left.saturating_sub(STEP);
    }
    check()
}
