//! What a test asks of a hollow node.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use super::kubelet::Kubelet;
use super::pod::Pod;
use crate::Error;

/// A Pod's Kubernetes namespace and its name.
pub(super) type Key = (String, String);

/// What a test asks of a node, and who waits for the answer.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: What,
    pub(super) done: Sender<Result<(), Error>>,
}

/// What a test can ask.
#[derive(Debug)]
pub(super) enum What {
    /// The containers of a Pod are ready, or are not.
    Ready(Key, bool),
    /// Containers of this name are not started with their Pods from now on.
    Hold(String),
    /// They are, and those held back start now.
    Release(String),
    /// A container of a Pod ends and another one starts in its place.
    Restart(Key, String),
}

impl Kubelet {
    /// Does what a test asks.
    pub(super) fn obey(&mut self, what: &What) -> Result<(), Error> {
        match what {
            What::Ready(key, ready) => {
                let (uid, pod) = find(&mut self.pods, key)?;
                pod.ready = *ready;
                self.untold.insert(uid, None);
            }
            What::Hold(name) => drop(self.held.insert(name.clone())),
            What::Release(name) => {
                self.held.remove(name);
                for (uid, pod) in &mut self.pods {
                    if pod.release(name, &self.layout)? {
                        self.untold.insert(uid.clone(), None);
                    }
                }
            }
            What::Restart(key, name) => {
                let (uid, pod) = find(&mut self.pods, key)?;
                if !pod.restart(name, &self.layout)? {
                    return Err(no_such(key, Some(name)));
                }
                self.untold.insert(uid, None);
            }
        }
        self.publish();
        Ok(())
    }
}

/// The error of a test that means what is not there.
pub(super) fn no_such(key: &Key, container: Option<&str>) -> Error {
    let (namespace, name) = key;
    let container = container.map(|container| format!("/{container}")).unwrap_or_default();
    Error::NoSuchPod { pod: format!("{namespace}/{name}{container}") }
}

fn find<'a>(
    pods: &'a mut BTreeMap<String, Pod>,
    key: &Key,
) -> Result<(String, &'a mut Pod), Error> {
    let mut pods = pods.iter_mut();
    let found = pods.find(|(_, pod)| pod.key() == *key);
    found.map(|(uid, pod)| (uid.clone(), pod)).ok_or_else(|| no_such(key, None))
}
