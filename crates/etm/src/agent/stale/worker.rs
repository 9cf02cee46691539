//! The thread that ends sockets: it looks through every network namespace of the node, for which the
//! agent's loop has no time.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use etm_dataplane::{Dataplane, Led, Pass, StaleError, StaleSockets};
use etm_model::{Problem, with_causes};
use tracing::info;

use crate::metrics::{Metrics, Stale};

/// Passes over all sockets: a program that read the tables just before may note a decision after the
/// first one.
const PASSES: u32 = 2;
/// How far they are apart.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
struct Order {
    why: Stale,
    /// Passes to go.
    passes: u32,
    /// Tells an order from the one before it.
    number: u64,
}

/// What is to be done, and what of it is told.
#[derive(Default)]
struct Board {
    orders: HashMap<Led, Order>,
    numbers: u64,
    problem: Option<Problem>,
}

/// The thread, as the agent's loop has it.
pub(super) struct Worker {
    shared: Arc<(Mutex<Board>, Condvar)>,
}

impl Worker {
    /// Starts it, which then waits for orders.
    pub(super) fn start(dataplane: &Dataplane, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let sockets = dataplane.stale_sockets()?;
        let shared = Arc::new((Mutex::default(), Condvar::new()));
        let worker = Self { shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name("stale-sockets".to_owned())
            .spawn(move || work(&shared, sockets, &metrics))
            .context("could not start a thread")?;
        Ok(worker)
    }

    /// Has sockets ended that were led there.
    pub(super) fn end(&self, led: impl IntoIterator<Item = Led>, why: Stale) {
        let mut board = lock(&self.shared.0);
        for led in led {
            board.numbers += 1;
            let order = Order { why, passes: PASSES, number: board.numbers };
            board.orders.insert(led, order);
        }
        self.shared.1.notify_one();
    }

    /// Leaves sockets alone that were led there, from now on.
    pub(super) fn spare(&self, is_spared: impl Fn(&Led) -> bool) {
        lock(&self.shared.0).orders.retain(|led, _| !is_spared(led));
    }

    /// Why sockets stay that ought to be ended.
    pub(super) fn problem(&self) -> Option<Problem> {
        lock(&self.shared.0).problem.clone()
    }
}

/// What is there is whole after each statement, whoever panicked.
fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &(Mutex<Board>, Condvar), mut sockets: StaleSockets, metrics: &Metrics) {
    let lacking = StaleSockets::permitted().err().map(|error| problem(&error));
    lock(&shared.0).problem.clone_from(&lacking);
    loop {
        let waiting = shared.1.wait_while(lock(&shared.0), |board| board.orders.is_empty());
        let orders = waiting.unwrap_or_else(PoisonError::into_inner).orders.clone();
        let pass = sockets.end(&|led| lock(&shared.0).orders.contains_key(led));
        let mut board = lock(&shared.0);
        // An order may have come during the pass, which asks the board before each end.
        tell(&pass, |led| board.orders.get(led).or_else(|| orders.get(led)), metrics);
        board.problem = told(&pass).or_else(|| lacking.clone());
        board.orders.retain(|led, order| {
            if orders.get(led).is_some_and(|done| done.number == order.number) {
                order.passes -= 1;
            }
            order.passes != 0
        });
        drop(board);
        thread::sleep(PAUSE);
    }
}

fn told(pass: &Pass) -> Option<Problem> {
    if let Some(error) = &pass.error {
        return Some(problem(error));
    }
    (pass.unseen != 0).then(|| Problem {
        object: "stale sockets".to_owned(),
        field: String::new(),
        reason: "some are in network namespaces that this process does not see".to_owned(),
        hint: "they stay open; mount the host's /run/netns, or run in the host's PID namespace"
            .to_owned(),
    })
}

fn problem(error: &StaleError) -> Problem {
    let hint = match error {
        StaleError::Permission => {
            "those of Pods stay open; run with CAP_SYS_ADMIN, or with --stale-connections keep"
        }
        _ => "they stay open; run with --stale-connections keep where nothing can be done about it",
    };
    Problem {
        object: "stale sockets".to_owned(),
        field: String::new(),
        reason: with_causes(error),
        hint: hint.to_owned(),
    }
}

fn tell<'a>(pass: &Pass, order: impl Fn(&Led) -> Option<&'a Order>, metrics: &Metrics) {
    for (led, count) in &pass.ended {
        let (frontend, backend) = led;
        let why = order(led).map_or(Stale::Gone, |order| order.why);
        metrics.ended(backend.protocol, why, *count);
        let (service, protocol) = (frontend.ip, backend.protocol);
        let backend = SocketAddr::new(backend.ip, backend.port);
        let told = match why {
            Stale::Gone => "ended sockets to a Pod that is gone",
            Stale::Ejected => "ended sockets to a Pod that is ejected",
            Stale::Released => "ended sockets to a Pod of the version before a release",
        };
        info!(%service, %backend, %protocol, sockets = count, "{told}");
    }
}
