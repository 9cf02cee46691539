//! What a hollow node tells the API server, again and again until it is heard.

use std::mem;

use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};

use super::kubelet::Kubelet;
use super::status;
use crate::control_plane::code;

impl Kubelet {
    /// Tells the API server what it does not know yet; what it does not take stays for later.
    pub(super) async fn tell(&mut self) {
        for (uid, told) in mem::take(&mut self.untold) {
            let said = match (&told, self.pods.get_mut(&uid)) {
                (Some((key, status)), _) => Some((key.clone(), status.clone())),
                (None, Some(pod)) => Some((pod.key(), status::of(pod, &self.node))),
                (None, None) => None,
            };
            let Some(((namespace, name), status)) = said else { continue };
            let how = PatchParams::default();
            let done =
                self.api(&namespace).patch_status(&name, &how, &Patch::Strategic(status)).await;
            if done.is_err_and(|error| code(&error) != Some(404)) {
                self.untold.insert(uid, told);
            }
        }
        for (uid, (namespace, name)) in self.leaving.clone() {
            if self.untold.contains_key(&uid) {
                continue;
            }
            let same = Preconditions { uid: Some(uid.clone()), resource_version: None };
            let how = DeleteParams::default().grace_period(0).preconditions(same);
            match self.api(&namespace).delete(&name, &how).await {
                Err(error) if !matches!(code(&error), Some(404 | 409)) => {}
                _ => drop(self.leaving.remove(&uid)),
            }
        }
    }

    fn api(&self, namespace: &str) -> Api<core::Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}
