//! The thread whose end ends the children that are bound to this process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// A command, and who waits for what comes of it.
type Birth = (Command, Sender<io::Result<Child>>);

/// Starts a command that has asked the kernel for a signal when its parent dies.
///
/// The kernel means the thread that forked, not the process, and a test's thread ends with its
/// test. So one thread, which lives as long as the process, is the parent of all of them.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static PARENT: OnceLock<Sender<Birth>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts programs is gone");
    let parent = PARENT.get_or_init(start);
    let (answer, child) = channel();
    parent.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

fn start() -> Sender<Birth> {
    let (sender, births) = channel::<Birth>();
    thread::spawn(move || {
        for (mut command, answer) in births {
            let _ = answer.send(command.spawn());
        }
    });
    sender
}
