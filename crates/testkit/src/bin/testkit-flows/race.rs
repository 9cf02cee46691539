//! Sockets that are opened, looked at and closed on several CPUs at the same time.
//!
//! What falls on some places of the table stays open until its successor on the same place comes:
//! the older one then is closed by another thread at the moment in which the younger one is
//! connected, or looked at once more before it is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{hint, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use socket2::Socket;

use crate::{peer, socket};

/// Places on which sockets stay open, all over the table: cookies come in batches, and which
/// process gets which batch is chance.
const HELD: u64 = 2048;

/// One thread's sign to another.
#[derive(Default)]
struct Sign(AtomicBool);

impl Sign {
    fn give(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Spins, since waking a sleeping thread takes longer than what is raced for.
    fn take(&self) {
        let mut spins = 0_u32;
        while !self.0.swap(false, Ordering::AcqRel) {
            spins += 1;
            if spins.is_multiple_of(256) {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
    }
}

/// A socket to be closed by the thread at the other end.
struct Closer {
    sockets: SyncSender<(Open, u64)>,
    there: Arc<Sign>,
    go: Arc<Sign>,
}

fn pause(spins: u64) {
    for _ in 0..spins {
        hint::spin_loop();
    }
}

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
                let (to_close, receiver) = sync_channel(0);
                let (there, go) = (Arc::<Sign>::default(), Arc::<Sign>::default());
                let closer =
                    Closer { sockets: to_close, there: Arc::clone(&there), go: Arc::clone(&go) };
                let race = &race;
                [
                    scope.spawn(move || race.open(sockets / threads, &closer)),
                    scope.spawn(move || race.close(&receiver, &there, &go)),
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
    fn open(&self, sockets: u64, closer: &Closer) -> io::Result<()> {
        let apart = self.slots / HELD;
        for _ in 0..sockets {
            let Some(first) = self.targets.first() else { return Ok(()) };
            let socket = socket(*first)?;
            let cookie = socket.cookie()?;
            let round = cookie / self.slots;
            // Successors on one place ask for different Services.
            let target = self.targets[(round % self.targets.len() as u64) as usize];
            let younger = Open { socket, target };
            let place = cookie % self.slots;
            match self.held.get((place / apart) as usize).filter(|_| place.is_multiple_of(apart)) {
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
        closer: &Closer,
    ) -> io::Result<()> {
        let older = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.seen.collisions.fetch_add(u64::from(older.is_some()), Ordering::Relaxed);
        let (handed, kept) =
            if (cookie / self.slots).is_multiple_of(4) { (None, older) } else { (older, None) };
        if let Some(older) = handed
            && closer.sockets.send((older, cookie)).is_ok()
        {
            closer.there.take();
            closer.go.give();
        }
        younger.socket.connect(&younger.target.into())?;
        self.seen.look(&younger)?;
        if let Some(older) = kept {
            self.seen.look(&older)?;
        }
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(younger);
        Ok(())
    }

    fn close(&self, receiver: &Receiver<(Open, u64)>, there: &Sign, go: &Sign) -> io::Result<()> {
        receiver.iter().try_for_each(|(open, cookie)| {
            there.give();
            go.take();
            // Sooner and later, and now and then with a look in between.
            let round = cookie / self.slots + cookie / (self.slots / HELD);
            pause(round % 256);
            if round.is_multiple_of(3) {
                self.seen.look(&open)?;
            }
            drop(open);
            Ok(())
        })
    }
}
