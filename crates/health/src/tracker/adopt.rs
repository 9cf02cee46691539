//! What the maps hold: when the agent starts, and where nobody knows.

use std::{sync::Arc, time::Duration};

use etm_model::BackendKey;

use super::Tracker;
use crate::change::{Budget, Record};

impl Tracker {
    /// Takes in the record that the kernel had for a backend when the agent started: what it was
    /// ejected for goes on; one that was out stays so for an ejection time, unless something says
    /// why. To be called after the Services were told.
    pub fn adopt(&mut self, now: Duration, key: BackendKey, record: Record) {
        self.advance(now);
        let now = self.now;
        let Some(backend) = self.backends.get_mut(&key) else { return };
        backend.told = Some(record);
        if let Some(policy) = backend.policy.clone() {
            match record {
                Record::Available { times: 0 } => {}
                Record::Available { times } => {
                    backend.trouble().passive.adopt(now, times, None);
                }
                Record::Ejected { until, times } => {
                    backend.trouble().passive.adopt(now, times.max(1), Some(until));
                }
                Record::Out => {
                    let until = now.saturating_add(policy.ejection_time);
                    backend.trouble().found = Some((now, until));
                }
            }
            if let Some(trouble) = &mut backend.trouble {
                trouble.passive.limit(now, &policy);
                if policy.passive.is_none() {
                    trouble.passive.recover(now);
                }
            }
        }
        self.touch(key);
    }

    /// Takes it that the maps were made anew, or that nobody knows what of the changes was written:
    /// the next changes are everything that is not the default.
    pub fn tell_again(&mut self) {
        for (key, backend) in &mut self.backends {
            if backend.trouble.is_some() || backend.told != Some(Record::Available { times: 0 }) {
                backend.told = None;
                self.touched.insert(*key);
            }
            if backend.policy.as_ref() != Some(&self.default) {
                self.policies.insert(*key, backend.policy.clone());
            }
        }
        for (name, service) in &mut self.services {
            service.budget = Budget::default();
            self.unbudgeted.insert(Arc::clone(name));
        }
    }
}
