use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use etm_model::Problem;
use serde::{Deserialize, Serialize};

/// The file in the state directory.
const FILE: &str = "api-servers.json";

/// Whether this is the Service of the API servers themselves.
pub(super) fn is_own(namespace: &str, service: &str) -> bool {
    namespace == "default" && service == "kubernetes"
}

/// Where to find an API server without anything that forwards Services: after a boot of the whole
/// machine nothing does, and this agent must not wait for itself.
#[derive(Debug)]
pub(super) struct Servers {
    /// `HOST:PORT` as the user gave them.
    given: Vec<String>,
    seen: Mutex<Seen>,
    /// Whether those that were seen go before the address of the configuration: it is a Service's.
    seen_first: bool,
    /// None where nothing but the given ones may be trusted.
    file: Option<PathBuf>,
    /// Which one is the first to be tried next, so that a cluster's nodes spread.
    turn: AtomicUsize,
}

/// The addresses of the API servers, as last seen. Holds nothing secret: who they are is for TLS
/// to prove.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// By the name of the EndpointSlice.
    slices: BTreeMap<Arc<str>, Vec<SocketAddr>>,
}

impl Servers {
    /// Reads what was seen before the start.
    pub(super) fn new(given: Vec<String>, seen_first: bool, state: Option<&Path>) -> Self {
        let file = state.map(|directory| directory.join(FILE));
        let text = file.as_deref().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        Self {
            given,
            // One that is broken is as good as none.
            seen: Mutex::new(serde_json::from_slice(&text).unwrap_or_default()),
            seen_first,
            file,
            turn: AtomicUsize::new(std::process::id() as usize),
        }
    }

    /// Addresses to try in turn for a connection to the `configured` one.
    pub(super) fn candidates(&self, configured: String) -> Vec<String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let seen: Vec<String> = match self.file {
            Some(_) => self.seen().slices.values().flatten().map(ToString::to_string).collect(),
            None => Vec::new(),
        };
        let (seen, given) = (rotated(&seen, turn), rotated(&self.given, turn));
        let configured = std::iter::once(configured);
        let all: Vec<String> = if self.seen_first {
            given.chain(seen).chain(configured).collect()
        } else {
            given.chain(configured).chain(seen).collect()
        };
        let mut candidates = Vec::with_capacity(all.len());
        for candidate in all {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Notes where the API servers of some slices are, and keeps that for the next start.
    pub(super) fn learn(&self, slices: Vec<(Arc<str>, Vec<SocketAddr>)>) -> Result<(), Problem> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut seen = self.seen();
        let mut next = Seen { slices: seen.slices.clone() };
        for (name, addresses) in slices {
            if addresses.is_empty() {
                next.slices.remove(&name);
            } else {
                next.slices.insert(name, addresses);
            }
        }
        // That there is none is a word that some API server gave.
        if next == *seen || next.slices.is_empty() {
            return Ok(());
        }
        *seen = next;
        write(file, &seen).map_err(|error| Problem {
            object: format!("file {}", file.display()),
            field: String::new(),
            reason: format!("cannot be written: {error}"),
            hint: "name another directory with --state; after a boot of this machine the API \
                   server may not be found"
                .into(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rotated(all: &[String], turn: usize) -> impl Iterator<Item = String> {
    all.iter().cycle().skip(turn % all.len().max(1)).take(all.len()).cloned()
}

/// Replaces the file as a whole, also where the machine stops in between.
fn write(file: &Path, seen: &Seen) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let draft = file.with_extension("json.new");
    let mut out = fs::File::create(&draft)?;
    out.write_all(&serde_json::to_vec(seen)?)?;
    out.sync_all()?;
    fs::rename(&draft, file)
}

/// An address as a user writes it, with the port of an API server where none is given.
pub(super) fn with_port(text: &str) -> String {
    const PORT: u16 = 6443;
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(ip, PORT).to_string();
    }
    match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => text.to_owned(),
        _ => format!("{text}:{PORT}"),
    }
}
