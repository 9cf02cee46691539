//! Objects that nobody has applied, as if the API server had them.

use etm_model::{Change, Problem, RouteKind};

use super::{Kubernetes, kind::Batch};
use crate::{Supposed, Update, asks::Asks, manifest::Object};

impl Kubernetes {
    /// What changes if these objects were applied, with what they ask for besides: what the cluster
    /// itself would make of them, as Pods and EndpointSlices, is not among it. To be called once all
    /// that there is was told; what comes from the cluster afterwards counts on top.
    pub async fn suppose(&mut self, supposed: Supposed) -> Update {
        let objects = supposed.into_objects();
        let mut left_out = Vec::new();
        for declared in objects {
            let object = &*declared.object;
            let begun = self.has_begun(object).then(|| begun(object));
            left_out.extend(begun.or_else(|| take(object, &mut self.batch)));
        }
        let mut all = Update::default();
        loop {
            if let Some(update) = self.update() {
                join(&mut all, update);
            }
            if self.withheld.is_empty() && self.is_asked() {
                all.problems.extend(left_out);
                return all;
            }
            let update = self.next().await;
            join(&mut all, update);
        }
    }
}

impl Kubernetes {
    /// Whether an object is a release by which the cluster routes already.
    fn has_begun(&self, object: &Object) -> bool {
        let Object::Routes(owner, _) = object else { return false };
        let told = self.releases.table.told_of(&owner.name);
        owner.kind == RouteKind::Release && told.is_some_and(|told| !told.routes.is_empty())
    }
}

fn begun(object: &Object) -> Problem {
    Problem {
        object: object.key().to_string(),
        field: String::new(),
        reason: "has begun and is not taken in".into(),
        hint: "its status says what is routed by it; the API server refuses another spec".into(),
    }
}

fn join(all: &mut Update, update: Update) {
    all.changes.extend(update.changes);
    all.pods.extend(update.pods);
    all.problems = update.problems;
}

/// Takes an object in, or says why it is left out.
fn take(object: &Object, batch: &mut Batch) -> Option<Problem> {
    let change = match object {
        Object::Service(object) => Change::SetService(object.service.clone()),
        // Slices are the cluster's to make, and what is routed by a release the controller's to say.
        Object::Headless(..) | Object::Release(_) => return None,
        Object::EndpointSlice(slice) => Change::SetSlice(slice.clone()),
        Object::TrafficPolicy(policy) => {
            batch.asking.push((policy.name.clone(), policy.load_balancing.pod_weights));
            Change::SetPolicy(policy.clone())
        }
        Object::Routes(owner, routes) => {
            let asks = (!routes.is_empty()).then(|| Asks::of(routes));
            batch.asking_routes.push((owner.clone(), asks));
            Change::SetRoutes(owner.clone(), routes.clone())
        }
        Object::ReferenceGrant(grant) => Change::SetGrant(grant.clone()),
        Object::Namespace(name, labels) => Change::SetNamespace(name.clone(), Some(labels.clone())),
        Object::Pod(_) | Object::Node(_) | Object::NodeHealth(_) => {
            return Some(Problem {
                object: object.key().to_string(),
                field: String::new(),
                reason: "is not taken in".into(),
                hint: "a cluster decides by itself what becomes of it; the rest is planned".into(),
            });
        }
    };
    batch.changes.push(change);
    None
}
