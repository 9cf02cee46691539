//! When frontends lead elsewhere: watched in the kernel's maps of every node.

use std::{net::SocketAddr, path::Path, thread::sleep, time::Duration};

use anyhow::{Context as _, ensure};
use etm_abi::Frontend;
use etm_dataplane::{View, monotonic};
use etm_model::{FrontendKey, Listener, Protocol};

/// Between two looks at the maps, which take time from what is measured.
const LOOK: Duration = Duration::from_micros(500);

const PATIENCE: Duration = Duration::from_secs(30);

/// The maps of some nodes, and what some Services lead to in them.
pub(crate) struct Watch {
    views: Vec<View>,
    services: Vec<FrontendKey>,
}

/// What each Service leads to on each node.
pub(crate) type Leads = Vec<Vec<Frontend>>;

impl Watch {
    pub(crate) fn new<'a>(
        pins: impl Iterator<Item = &'a Path>,
        services: &[SocketAddr],
    ) -> anyhow::Result<Self> {
        let views = pins.map(View::open).collect::<Result<_, _>>()?;
        let key = |address: &SocketAddr| FrontendKey {
            ip: address.ip(),
            listener: Listener::Port(address.port(), Protocol::Tcp),
        };
        Ok(Self { views, services: services.iter().map(key).collect() })
    }

    /// What Services lead to now.
    pub(crate) fn leads(&self) -> anyhow::Result<Leads> {
        let services = |view: &View| {
            let found = self.services.iter().map(|key| view.frontend(key));
            found.collect::<Option<Vec<_>>>().context("a node lacks a Service")
        };
        self.views.iter().map(services).collect()
    }

    /// Waits until every Service leads elsewhere on every node: when that was on each of them.
    pub(crate) fn flips(&self, before: &Leads) -> anyhow::Result<Vec<Duration>> {
        let begin = monotonic();
        let mut flips: Vec<Vec<Option<Duration>>> =
            before.iter().map(|services| vec![None; services.len()]).collect();
        loop {
            for ((view, before), flips) in self.views.iter().zip(before).zip(&mut flips) {
                for ((key, before), flip) in self.services.iter().zip(before).zip(flips) {
                    if flip.is_none() && view.frontend(key).is_some_and(|now| now != *before) {
                        *flip = Some(monotonic());
                    }
                }
            }
            if let Some(all) = flips.iter().flatten().copied().collect::<Option<Vec<_>>>() {
                let services = self.services.len();
                let last = all.chunks(services).filter_map(|node| node.iter().max());
                return Ok(last.copied().collect());
            }
            ensure!(monotonic() - begin < PATIENCE, "a node never leads elsewhere");
            sleep(LOOK);
        }
    }
}
