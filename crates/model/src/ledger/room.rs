//! What does not fit into the maps.

use etm_abi as abi;
use serde::Serialize;

use super::Ledger;
use crate::{
    object::Family,
    plan::{FrontendKey, PlannedFrontend, ServicePortName},
    problem::Problem,
};

/// How much of the kernel's maps is taken, by what is in use or retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// IPv4 frontends.
    pub frontends_v4: u32,
    /// IPv6 frontends.
    pub frontends_v6: u32,
    /// Backends.
    pub backends: u32,
    /// Slots.
    pub slots: u32,
    /// Lines of routes.
    pub routes: u32,
    /// Names of Service ports.
    pub services: usize,
    /// Source ranges.
    pub sources: usize,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    Frontend(Family),
    Names,
    Backends,
    Slots(usize),
    Routes,
    Sources,
}

/// A frontend that did not fit, to be tried again when room comes free.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) planned: PlannedFrontend,
    pub(super) lack: Lack,
}

impl Ledger {
    /// How much of the kernel's maps is taken.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            frontends_v4: self.frontends_v4,
            frontends_v6: self.frontends_v6,
            backends: self.backends.count(),
            slots: self.tables.slots(),
            routes: self.routes.lines(),
            services: self.services.count(),
            sources: self.sources.count(),
        }
    }

    /// What of the Plan does not fit into the maps now.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<_> =
            self.waiting.values().map(|waiting| self.problem(waiting)).collect();
        problems.sort_unstable();
        problems.dedup();
        problems
    }

    pub(super) fn frontends_of(&mut self, key: FrontendKey) -> &mut u32 {
        match Family::of(key.ip) {
            Family::V4 => &mut self.frontends_v4,
            Family::V6 => &mut self.frontends_v6,
        }
    }

    pub(super) fn problem(&self, waiting: &Waiting) -> Problem {
        let ServicePortName { service, port, protocol } = &*waiting.planned.service;
        let port = if port.is_empty() { "its".to_owned() } else { format!("{port}'s") };
        let (missing, way_out) = match waiting.lack {
            Lack::Frontend(family) => {
                let family = match family {
                    Family::V4 => "IPv4",
                    Family::V6 => "IPv6",
                };
                let limit = self.limits.frontends;
                (format!("all {limit} {family} frontends are in use"), "raise --max-frontends")
            }
            Lack::Names => (
                format!("all {} names of Service ports are in use", self.limits.names()),
                "raise --max-frontends",
            ),
            Lack::Backends => (
                format!("too few of the {} backends are free", self.limits.backends),
                "raise --max-backends",
            ),
            Lack::Slots(members) => (
                format!("of the {} slots no {members} in a row are free", self.limits.slots),
                "raise --max-slots",
            ),
            Lack::Routes => (
                format!("too few of the {} lines of routes are free", self.limits.routes),
                "raise --max-route-lines",
            ),
            Lack::Sources => (
                format!("too few of the {} source ranges are free", abi::MAX_SOURCES),
                "join ranges in spec.loadBalancerSourceRanges",
            ),
        };
        Problem {
            object: format!("Service {service}"),
            field: String::new(),
            reason: format!("{port} {protocol} frontends do not fit into the maps: {missing}"),
            hint: format!("{way_out}; until then they stay as they were"),
        }
    }
}
