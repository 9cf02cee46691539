//! Requests of all clients at once, and at which versions they were served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use etm_testkit::Call;
use etm_testkit::wait::until;

use super::chain::{CLIENTS, Chain};

/// Requests that a calling process makes.
const BATCH: usize = 20;

/// In place of a percentage, while a step is on its way.
const MOVING: usize = usize::MAX;

pub(super) struct Load<'a> {
    chain: &'a Chain,
    release: &'a str,
    /// Percent of callers that reach the new version on every node.
    percent: AtomicUsize,
    requests: AtomicUsize,
    over: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests by the version that served them.
    pub(super) served: BTreeMap<String, usize>,
    /// What must not be.
    pub(super) wrong: Vec<String>,
}

impl<'a> Load<'a> {
    /// Has all clients call while `then` goes on.
    pub(super) fn run(chain: &'a Chain, release: &'a str, then: impl FnOnce(&Self)) -> Seen {
        let load = Self {
            chain,
            release,
            percent: AtomicUsize::new(MOVING),
            requests: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            seen: Mutex::default(),
        };
        thread::scope(|scope| {
            let load = &load;
            for number in 0..CLIENTS {
                scope.spawn(move || load.call(number));
            }
            // Ends the clients when `then` panics as well.
            let _over = Over(&load.over);
            then(load);
        });
        load.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many requests were made.
    pub(super) fn until_made(&self, requests: usize) {
        until(&format!("{requests} requests are made"), || {
            self.requests.load(Ordering::Relaxed) >= requests
        });
    }

    /// A step is on its way to every node, and each caller may be at either version.
    pub(super) fn moves(&self) {
        self.percent.store(MOVING, Ordering::SeqCst);
    }

    /// Waits until so many percent of callers reach the new version; from here on it must be they.
    pub(super) fn until_at(&self, percent: u32) {
        let callers: Vec<_> = (0..CLIENTS).map(|number| self.chain.caller(number)).collect();
        until(&format!("{percent}% of callers reach the new version"), || {
            callers.iter().enumerate().all(|(number, caller)| {
                let call = caller.call(self.chain.front).expect("a call");
                let new = self.chain.is_chosen(self.release, percent, number);
                version(&call).is_ok_and(|version| (version == "v2") == new)
            })
        });
        self.percent.store(percent as usize, Ordering::SeqCst);
    }

    fn call(&self, number: usize) {
        let caller = self.chain.caller(number);
        while !self.over.load(Ordering::Relaxed) {
            let before = self.percent.load(Ordering::SeqCst);
            let calls = caller.calls(self.chain.front, BATCH).expect("calls");
            let after = self.percent.load(Ordering::SeqCst);
            self.requests.fetch_add(calls.len(), Ordering::Relaxed);
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for call in &calls {
                let version = match version(call) {
                    Ok(version) => version,
                    Err(wrong) => {
                        seen.wrong.push(format!("client {number}: {wrong}"));
                        continue;
                    }
                };
                let steady = before == after && before != MOVING;
                let new = || self.chain.is_chosen(self.release, before as u32, number);
                if steady && (version == "v2") != new() {
                    seen.wrong.push(format!("client {number} is at {version} at {before}%"));
                }
                *seen.served.entry(version).or_default() += 1;
            }
        }
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The version of all three Pods that a request has passed, or what is wrong with it.
fn version(call: &Call) -> Result<String, String> {
    let chain = call.answer.as_ref().map(etm_testkit::Answer::chain).unwrap_or_default();
    let versions: Vec<_> = chain.iter().filter_map(|pod| pod.split('-').nth(1)).collect();
    match versions[..] {
        [front, cart, stock] if front == cart && cart == stock => Ok(front.to_owned()),
        _ => Err(format!("{chain:?}: {:?}", call.error)),
    }
}
