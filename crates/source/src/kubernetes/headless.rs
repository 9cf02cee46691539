//! EndpointSlices of headless Services, as far as routes lead there.
//!
//! A cluster may have thousands of them, and nobody connects to such a Service by an address. So there
//! is a watch while a route names one, and of those that are named alone.

use std::{collections::BTreeSet, future, sync::Arc};

use etm_model::{Change, ObjectName, Problem};
use kube::runtime::watcher;
use tokio::time::{Instant, sleep_until};

use super::{
    client::Access,
    demanded::Demanded,
    kind::{Batch, EndpointSlices},
    leaving::{Leaving, Whereabouts},
    statistics::Statistics,
    table::Table,
    watch::Outcome,
};
use crate::convert::{HEADLESS, PROXY_NAME, SERVICE_NAME};

type HeadlessSlices = EndpointSlices<true>;

pub(super) struct Headless {
    slices: Demanded<HeadlessSlices>,
    followed: BTreeSet<ObjectName>,
    leaving: Leaving,
    /// What else is asked of their labels.
    unlabelled: String,
}

impl Headless {
    pub(super) fn new(access: Arc<Access>, proxy_name: Option<String>) -> Self {
        let unlabelled = match proxy_name {
            Some(_) => String::new(),
            None => format!(",!{PROXY_NAME}"),
        };
        let slices = Demanded::new(access, watcher::Config::default()).for_proxy(proxy_name);
        Self { slices, followed: BTreeSet::new(), leaving: Leaving::default(), unlabelled }
    }

    /// What became of the watch, while there was one.
    pub(super) fn statistics(&self) -> &Arc<Statistics> {
        self.slices.statistics()
    }

    /// Follows the slices of these Services, and of none else but those of the same name in other
    /// namespaces, which no one selector leaves out.
    pub(super) fn follow(&mut self, services: &BTreeSet<&ObjectName>, batch: &mut Batch) {
        self.followed = services.iter().map(|service| (*service).clone()).collect();
        let names = services.iter().map(|service| &*service.name).filter(|name| is_label(name));
        let names: BTreeSet<&str> = names.collect();
        if names.is_empty() {
            self.slices.demand(false, batch);
            return;
        }
        let names = Vec::from_iter(names).join(",");
        let unlabelled = &self.unlabelled;
        self.slices.select(format!("{SERVICE_NAME} in ({names}),{HEADLESS}{unlabelled}"), batch);
    }

    /// Waits for what comes next; nothing comes where it is sure by now that a slice is gone. Cancel
    /// safe.
    pub(super) async fn next(&mut self) -> Option<Outcome<HeadlessSlices>> {
        let sure = self.leaving.next();
        let sure = async {
            match sure {
                Some(sure) => sleep_until(sure).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            outcome = self.slices.next() => Some(outcome),
            () = sure => None,
        }
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, outcome: Option<Outcome<HeadlessSlices>>, batch: &mut Batch) {
        if let Some(outcome) = outcome {
            self.slices.take(outcome, batch);
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        self.slices.take_waiting(batch)
    }

    /// Whether those that are asked for were listed once, or cannot be.
    pub(super) fn is_settled(&self) -> bool {
        self.slices.is_settled()
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.slices.problems()
    }

    /// Leaves out that a slice is gone which is there by the other watch: where its label comes or
    /// goes, one tells that it is gone and the other that it is there, in any order.
    pub(super) fn keep_told(&mut self, others: &Table<EndpointSlices>, changes: &mut Vec<Change>) {
        let Self { slices, followed, leaving, .. } = self;
        leaving.sift(changes, Instant::now(), |service, slice| {
            let name =
                ObjectName { namespace: Arc::clone(&service.namespace), name: Arc::clone(slice) };
            let told = [others.told_of(&name), slices.told_of(&name)];
            if told.contains(&Some(&service.name)) {
                Whereabouts::There
            } else if followed.contains(service) {
                Whereabouts::Unsure
            } else {
                Whereabouts::Gone
            }
        });
    }
}

/// Whether a Service can have this name at all; what routes name is whatever somebody wrote.
fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
