//! The loop of a hollow node: takes Pods, tells of them, ends them, and says that it is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::layout::Layout;
use super::orders::{Key, Order};
use super::pod::Pod;
use super::registration::renew;
use super::watch::{News, follow};
use super::{Board, HollowPod, status};
use crate::node::Node;

/// How often a node says that it is alive, as kubelet does.
const RENEWAL: Duration = Duration::from_secs(10);

/// How often Pods on their way out are looked at.
const ENDING: Duration = Duration::from_millis(10);

/// How soon what the API server did not take is said again.
const RETRY: Duration = Duration::from_millis(200);

/// What the loop knows.
pub(super) struct Kubelet {
    name: String,
    pub(super) node: Arc<Node>,
    pub(super) layout: Arc<Layout>,
    /// Where the test reads what runs.
    board: Board,
    /// Whether containers are ready as soon as they run.
    ready: bool,
    pub(super) client: Client,
    pub(super) pods: BTreeMap<String, Pod>,
    pub(super) held: BTreeSet<String>,
    /// What has still to be told of which Pod; without text its status is made then.
    pub(super) untold: BTreeMap<String, Option<(Key, Value)>>,
    /// Pods that have ended here and have to go.
    pub(super) leaving: BTreeMap<String, Key>,
}

impl Kubelet {
    /// A loop that has not begun.
    pub(super) fn new(
        name: String,
        node: Arc<Node>,
        layout: Arc<Layout>,
        board: Board,
        ready: bool,
        client: Client,
    ) -> Self {
        let (pods, held) = (BTreeMap::new(), BTreeSet::new());
        let (untold, leaving) = (BTreeMap::new(), BTreeMap::new());
        Self { name, node, layout, board, ready, client, pods, held, untold, leaving }
    }

    /// Runs until nobody can give orders any more; then all that runs here is ended.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let (sender, mut news) = unbounded_channel();
        tokio::spawn(follow(Api::all(self.client.clone()), self.name.clone(), sender));
        let mut renewal = Instant::now();
        loop {
            let pause = if self.pods.values().any(Pod::is_ending) {
                ENDING
            } else if self.untold.is_empty() && self.leaving.is_empty() {
                RENEWAL
            } else {
                RETRY
            };
            tokio::select! {
                Some(item) = news.recv() => self.hear(item),
                order = orders.recv() => match order {
                    Some(order) => {
                        let result = self.obey(&order.what);
                        self.tell().await;
                        // The test may have given up waiting.
                        let _ = order.done.send(result);
                    }
                    None => return,
                },
                () = sleep_until(renewal) => {
                    // Where it fails the node counts as lost in the end, as a real one does.
                    let _ = renew(&self.client, &self.name).await;
                    renewal = Instant::now() + RENEWAL;
                }
                () = sleep(pause) => {}
            }
            self.advance();
            self.tell().await;
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::All(pods) => {
                let uid = |pod: &core::Pod| pod.metadata.uid.clone().unwrap_or_default();
                let there: BTreeSet<String> = pods.iter().map(uid).collect();
                self.pods.retain(|uid, _| there.contains(uid));
                self.leaving.retain(|uid, _| there.contains(uid));
                pods.into_iter().for_each(|pod| self.take(pod));
            }
            News::Changed(pod) => self.take(*pod),
            News::Gone(pod) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                // Whatever still runs of it ends without being asked: it was deleted by force.
                self.pods.remove(&uid);
                self.leaving.remove(&uid);
                self.untold.remove(&uid);
            }
        }
        self.publish();
    }

    /// A Pod that is bound to this node is as here described.
    fn take(&mut self, object: core::Pod) {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        if self.leaving.contains_key(&uid) {
            return;
        }
        if let Some(pod) = self.pods.get_mut(&uid) {
            let open = pod.gates_are_open();
            pod.update(object);
            if pod.gates_are_open() != open {
                self.untold.insert(uid, None);
            }
            return;
        }
        let key = key(&object);
        if object.metadata.deletion_timestamp.is_some() {
            self.leaving.insert(uid, key);
            return;
        }
        let status = object.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let reason = status.and_then(|status| status.reason.as_deref());
        if reason == Some(status::FAILED) || matches!(phase, Some("Succeeded" | "Failed")) {
            return;
        }
        let told = match Pod::start(object, &self.node, &self.layout, &self.held, self.ready) {
            Ok(pod) => {
                self.pods.insert(uid.clone(), pod);
                None
            }
            Err(error) => Some((key, status::of_failure(&format!("{error:?}")))),
        };
        self.untold.insert(uid, told);
    }

    /// Goes on with the Pods on their way out; those that have ended leave.
    fn advance(&mut self) {
        let ended: Vec<String> = self
            .pods
            .iter_mut()
            .filter_map(|(uid, pod)| (pod.is_ending() && pod.advance()).then(|| uid.clone()))
            .collect();
        for uid in ended {
            if let Some(mut pod) = self.pods.remove(&uid) {
                let key = pod.key();
                let last = status::of(&mut pod, &self.node);
                self.untold.insert(uid.clone(), Some((key.clone(), last)));
                self.leaving.insert(uid, key);
                self.publish();
            }
        }
    }

    /// Shows the test what runs.
    pub(super) fn publish(&self) {
        let pods = self.pods.values().map(|pod| (pod.key(), HollowPod::of(pod)));
        let shown = pods.collect();
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

fn key(object: &core::Pod) -> Key {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
