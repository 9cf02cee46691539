//! What the kernel's records of the Pods say, read again and again.

use std::{net::Ipv4Addr, thread::sleep, time::Duration};

use anyhow::ensure;
use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, Backend};
use etm_dataplane::{View, monotonic};
use etm_model::from_abi;

use crate::{covered::Covered, stage::SERVING};

/// How often the records are read.
const PERIOD: Duration = Duration::from_millis(2);

/// What is known of a Pod.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// When it was first taken out of service, by the kernel's own clock.
    pub(crate) ejected: Option<Duration>,
    /// When it was seen back.
    pub(crate) returned: Option<Duration>,
    /// Whether it was ever kept from one caller alone.
    pub(crate) shunned: bool,
    /// Most failures in a row that were seen.
    pub(crate) row: u32,
}

/// Reads the records of all Pods.
pub(crate) struct Watch {
    view: View,
    ids: Vec<u32>,
    /// What the first ejection lasts.
    ejection: Duration,
    pub(crate) fates: Vec<Fate>,
}

impl Watch {
    /// Finds the records of Pods, which come in the order of their addresses.
    pub(crate) fn begin(
        covered: &Covered,
        addresses: &[Ipv4Addr],
        ejection: Duration,
    ) -> anyhow::Result<Self> {
        let view = covered.view()?;
        let backends = view.contents()?.backends;
        let id = |address: &Ipv4Addr| {
            let is_its = |record: &Backend| from_abi(&record.address) == *address;
            backends.iter().find(|(_, record)| is_its(record)).map(|(id, _)| *id)
        };
        let ids: Vec<u32> = addresses.iter().filter_map(id).collect();
        ensure!(ids.len() == SERVING, "{} of {SERVING} Pods have a record", ids.len());
        Ok(Self { view, ids, ejection, fates: vec![Fate::default(); SERVING] })
    }

    /// Reads until a moment, or until a condition holds.
    pub(crate) fn until(&mut self, end: Duration, enough: impl Fn(&[Fate]) -> bool) {
        while monotonic() < end && !enough(&self.fates) {
            self.read();
            sleep(PERIOD);
        }
    }

    fn read(&mut self) {
        let live = self.view.live();
        for (id, fate) in self.ids.iter().zip(&mut self.fates) {
            let Some(record) = live.backend(*id) else { continue };
            fate.row = fate.row.max(record.failures);
            fate.shunned |= record.shunned != 0;
            match (record.state, fate.ejected) {
                (BACKEND_EJECTED, None) if record.until != 0 => {
                    fate.ejected = Some(Duration::from_nanos(record.until) - self.ejection);
                }
                (BACKEND_AVAILABLE, Some(_)) if fate.returned.is_none() => {
                    fate.returned = Some(monotonic());
                }
                (BACKEND_AVAILABLE | BACKEND_EJECTED, _) => {}
                // The agent itself has taken it out.
                _ => fate.ejected = fate.ejected.or_else(|| Some(monotonic())),
            }
        }
    }
}
