//! Sockets that are opened, looked at and closed on several CPUs at the same time.
//!
//! What falls on the first places of the table stays open until its successor on the same place
//! comes: the older one then is closed by another thread while the younger one is connected, or
//! looked at once more before it is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::{hint, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use socket2::Socket;

use crate::{peer, socket};

/// Places on which sockets stay open.
const HELD: usize = 2048;

struct Open {
    socket: Socket,
    target: SocketAddr,
}

#[derive(Default)]
struct Seen {
    wrong: AtomicU64,
    collisions: AtomicU64,
    /// One of the wrong ones.
    example: Mutex<Option<String>>,
}

impl Seen {
    fn look(&self, open: &Open) -> io::Result<()> {
        let shown = peer(&open.socket)?;
        if shown != Some(open.target) {
            self.wrong.fetch_add(1, Ordering::Relaxed);
            let example = format!("{} shown as {shown:?}", open.target);
            *self.example.lock().unwrap_or_else(PoisonError::into_inner) = Some(example);
        }
        Ok(())
    }
}

struct Race<'a> {
    targets: &'a [SocketAddr],
    slots: u64,
    held: Vec<Mutex<Option<Open>>>,
    seen: Seen,
}

/// Makes so many sockets, and says what was wrong with them; all are closed then.
pub(crate) fn run(
    targets: &[SocketAddr],
    sockets: u64,
    threads: u64,
    slots: u64,
) -> io::Result<Value> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    let held = (0..HELD).map(|_| Mutex::default()).collect();
    let race = Race { targets, slots, held, seen: Seen::default() };
    thread::scope(|scope| {
        let runners: Vec<_> = (0..threads)
            .flat_map(|_| {
                let (sender, receiver) = sync_channel(16);
                let race = &race;
                [
                    scope.spawn(move || race.open(sockets / threads, &sender)),
                    scope.spawn(move || race.close(&receiver)),
                ]
            })
            .collect();
        runners.into_iter().try_for_each(|runner| {
            runner.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })?;
    let Seen { wrong, collisions, example } = race.seen;
    let example = example.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(json!({
        "wrong": wrong.into_inner(),
        "collisions": collisions.into_inner(),
        "example": example,
    }))
}

impl Race<'_> {
    fn open(&self, sockets: u64, closer: &SyncSender<Open>) -> io::Result<()> {
        for _ in 0..sockets {
            let Some(first) = self.targets.first() else { return Ok(()) };
            let socket = socket(*first)?;
            let cookie = socket.cookie()?;
            let round = cookie / self.slots;
            // Successors on one place ask for different Services.
            let target = self.targets[(round % self.targets.len() as u64) as usize];
            let younger = Open { socket, target };
            match self.held.get((cookie % self.slots) as usize) {
                Some(place) => self.succeed(place, younger, cookie, closer)?,
                None => {
                    younger.socket.connect(&target.into())?;
                    self.seen.look(&younger)?;
                }
            }
        }
        Ok(())
    }

    fn succeed(
        &self,
        place: &Mutex<Option<Open>>,
        younger: Open,
        cookie: u64,
        closer: &SyncSender<Open>,
    ) -> io::Result<()> {
        let older = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.seen.collisions.fetch_add(u64::from(older.is_some()), Ordering::Relaxed);
        let (handed, kept) = if cookie % 4 == 0 { (None, older) } else { (older, None) };
        if let Some(older) = handed {
            let _ = closer.send(older);
            // The other thread takes some time to get there: meet it sooner and later.
            for _ in 0..cookie % 4096 * 4 {
                hint::spin_loop();
            }
        }
        younger.socket.connect(&younger.target.into())?;
        self.seen.look(&younger)?;
        if let Some(older) = kept {
            self.seen.look(&older)?;
        }
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(younger);
        Ok(())
    }

    fn close(&self, receiver: &Receiver<Open>) -> io::Result<()> {
        receiver.iter().try_for_each(|open| self.seen.look(&open))
    }
}
