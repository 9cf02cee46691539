use std::sync::Arc;

use etm_abi as abi;
use ipnet::IpNet;

use crate::{plan::FrontendKey, step::Step};

/// Writes of one batch, kept apart by kind so that whatever leads to something comes after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    backends: Vec<Step>,
    services: Vec<Step>,
    slots: Vec<Step>,
    routes: Vec<Step>,
    frontends: Vec<Step>,
    removals: Vec<Step>,
}

impl Writes {
    pub(super) fn backend(&mut self, id: u32, backend: abi::Backend) {
        self.backends.push(Step::SetBackend { id, backend });
    }

    pub(super) fn backend_name(&mut self, id: u32, name: Option<Arc<str>>) {
        self.backends.push(Step::NameBackend { id, name });
    }

    pub(super) fn service_name(&mut self, id: u32, name: Option<Arc<str>>) {
        self.services.push(Step::NameService { id, name });
    }

    pub(super) fn slots(&mut self, first: u32, backends: Vec<u32>) {
        self.slots.push(Step::SetSlots { first, backends });
    }

    pub(super) fn words(&mut self, first: u32, words: Arc<[u64]>) {
        self.slots.push(Step::SetWords { first, words });
    }

    pub(super) fn route(&mut self, first: u32, words: Arc<[u64]>) {
        self.routes.push(Step::SetRoute { first, words });
    }

    pub(super) fn frontend(&mut self, key: FrontendKey, frontend: abi::Frontend) {
        self.frontends.push(Step::SetFrontend { key, frontend });
    }

    pub(super) fn source(&mut self, frontend: FrontendKey, source: IpNet) {
        self.services.push(Step::AddSource { frontend, source });
    }

    pub(super) fn source_removal(&mut self, frontend: FrontendKey, source: IpNet) {
        self.removals.push(Step::RemoveSource { frontend, source });
    }

    pub(super) fn removal(&mut self, key: FrontendKey) {
        self.removals.push(Step::RemoveFrontend { key });
    }

    /// Adds the batch to the steps before it, in the order in which it is to be applied.
    pub(super) fn append_to(mut self, steps: &mut Vec<Step>) {
        for mut kind in [
            std::mem::take(&mut self.backends),
            std::mem::take(&mut self.services),
            std::mem::take(&mut self.slots),
            std::mem::take(&mut self.routes),
            std::mem::take(&mut self.frontends),
            std::mem::take(&mut self.removals),
        ] {
            if steps.is_empty() {
                *steps = kind;
            } else {
                steps.append(&mut kind);
            }
        }
    }
}
