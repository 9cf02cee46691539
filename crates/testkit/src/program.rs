//! A running program: its lines as they come, its messages kept, its end waited for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, panicking, sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, parent};

/// How many lines of stderr are repeated; some programs say hundreds.
const LAST_WORDS: usize = 40;

/// A child process, killed on drop.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    stdout: Mutex<Receiver<String>>,
    stderr: Arc<Mutex<String>>,
    /// Ends when the last holder of the program's stderr has closed it.
    listener: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it in a process group of its own, so that Ctrl-C reaches only who cleans up.
    ///
    /// Its stdin stays open until this is dropped: the testkit's programs end at the end of
    /// their input, and so not even SIGKILL of this process leaves them behind.
    pub(crate) fn start(name: &str, command: Command) -> Result<Self, Error> {
        Self::start_by(name, command, |mut command| command.spawn())
    }

    /// Starts one that does not watch its input; it is killed as soon as this process is gone.
    pub(crate) fn start_bound(name: &str, command: Command) -> Result<Self, Error> {
        Self::start_by(name, command, parent::spawn)
    }

    fn start_by(
        name: &str,
        mut command: Command,
        spawn_child: impl FnOnce(Command) -> io::Result<Child>,
    ) -> Result<Self, Error> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = spawn_child(command).map_err(Error::io(format!("start {name}")))?;
        let (lines, stdout) = channel();
        let stderr = Arc::new(Mutex::new(String::new()));
        if let Some(stream) = child.stdout.take() {
            spawn(move || pass_on(stream, &lines));
        }
        let listener = child.stderr.take().map(|stream| {
            let kept = Arc::clone(&stderr);
            spawn(move || keep(stream, &kept))
        });
        Ok(Self { name: name.to_owned(), child, stdout: Mutex::new(stdout), stderr, listener })
    }

    /// Waits for a line on stdout that starts with `ready`, and returns it.
    pub(crate) fn ready(&mut self, patience: Duration) -> Result<String, Error> {
        let deadline = Instant::now() + patience;
        loop {
            match self.line(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("ready") => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.not_ready(format!("waited {} s", patience.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let why = self.wait(Duration::from_secs(1));
                    return Err(self.not_ready(match why {
                        Ok(status) => status.to_string(),
                        Err(_) => "it closed its stdout".to_owned(),
                    }));
                }
            }
        }
    }

    /// The next line of stdout.
    pub(crate) fn line(&self, patience: Duration) -> Result<String, RecvTimeoutError> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience)
    }

    /// Writes a line to its stdin.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Error> {
        let said = match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        said.map_err(Error::io(format!("write to {}", self.name)))
    }

    /// Sends a signal to the program itself.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|errno| Error::io(format!("signal {}", self.name))(errno.into()))
    }

    /// Waits for its end, and until all that it said is there to be read.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus, Error> {
        let deadline = Instant::now() + patience;
        loop {
            let what = || Error::io(format!("wait for {} to end", self.name));
            match self.child.try_wait().map_err(what())? {
                Some(status) => {
                    self.hear_out();
                    return Ok(status);
                }
                None if Instant::now() >= deadline => {
                    return Err(what()(io::ErrorKind::TimedOut.into()));
                }
                None => sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Its last words are read by another thread. A child of its own that lives on may hold its
    /// stderr open, so this does not wait for ever.
    fn hear_out(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        let open = || self.listener.as_ref().is_some_and(|listener| !listener.is_finished());
        while open() && Instant::now() < deadline {
            sleep(Duration::from_millis(1));
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error of a program that did not do what it was started for.
    pub(crate) fn not_ready(&self, why: String) -> Error {
        Error::NotReady { program: self.name.clone(), why, stderr: self.last_words() }
    }

    /// Where a test fails, prints what the program said last.
    pub(crate) fn explain_failure(&self) {
        if panicking() {
            eprintln!("{} said last:\n{}\n", self.name, self.last_words());
        }
    }

    fn last_words(&self) -> String {
        let said = self.stderr();
        let lines: Vec<&str> = said.trim().lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Goes on to the end even when nobody listens: a full pipe would stop the program.
fn pass_on(stream: impl Read, lines: &Sender<String>) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let _ = lines.send(line);
    }
}

fn keep(stream: impl Read, kept: &Mutex<String>) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&line);
        kept.push('\n');
    }
}
