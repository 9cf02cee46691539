//! Which Service has a frontend where several ask for it.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    object::{AddressKind, ObjectName, Timestamp},
    plan::{FrontendKey, Listener, PlannedFrontend},
    problem::Problem,
};

/// Place of a Service among those that ask for one frontend: the older first, as Kubernetes has
/// it, then by name, so that every node decides the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Without a time of creation a Service counts as younger than any with one.
    ageless: bool,
    created: Timestamp,
    pub(super) name: ObjectName,
}

impl Rank {
    pub(super) fn new(created: Option<Timestamp>, name: ObjectName) -> Self {
        Self { ageless: created.is_none(), created: created.unwrap_or_default(), name }
    }

    /// Why it comes before a later one.
    pub(super) fn before(&self, later: &Self) -> &'static str {
        if (self.ageless, self.created) < (later.ageless, later.created) {
            "is older"
        } else {
            "is as old and comes first by name"
        }
    }

    /// A rank before that of any Service.
    fn least() -> Self {
        Self::new(Some(Timestamp::MIN), ObjectName::new("", ""))
    }
}

/// The field of a Service that asks for a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// An address of the Service.
    Address(AddressKind),
    /// `nodePort` of the port of this index.
    NodePort(usize),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(AddressKind::Cluster) => f.write_str("spec.clusterIPs"),
            Self::Address(AddressKind::External) => f.write_str("spec.externalIPs"),
            Self::Address(AddressKind::LoadBalancer) => f.write_str("status.loadBalancer.ingress"),
            Self::NodePort(index) => write!(f, "spec.ports[{index}].nodePort"),
        }
    }
}

/// One frontend that a Service asks for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key: FrontendKey,
    /// What it must be; none where it could not be planned and is to be left as it is.
    pub(super) frontend: Option<PlannedFrontend>,
    pub(super) field: Field,
}

impl Claim {
    /// What the loser of a frontend is told; nothing where the frontend only stands for the
    /// ports that no Service has, since any owner of it refuses the same.
    pub(super) fn lost(&self, loser: &Rank, winner: &Rank) -> Option<Problem> {
        let Listener::Port(port, protocol) = self.key.listener else { return None };
        Some(Problem {
            object: format!("Service {}", loser.name),
            field: self.field.to_string(),
            reason: format!(
                "{} port {port}/{protocol} belongs to Service {}, which {}",
                self.key.ip,
                winner.name,
                winner.before(loser)
            ),
            hint: format!(
                "Service {} keeps it; give one of the two another address or port",
                winner.name
            ),
        })
    }
}

/// Who asks for which frontend, or for which port.
#[derive(Clone, Debug)]
pub(super) struct Claims<K> {
    ranks: BTreeSet<(K, Arc<Rank>)>,
    least: Arc<Rank>,
}

impl<K: Ord> Default for Claims<K> {
    fn default() -> Self {
        Self { ranks: BTreeSet::new(), least: Arc::new(Rank::least()) }
    }
}

impl<K: Copy + Ord> Claims<K> {
    pub(super) fn insert(&mut self, key: K, rank: &Arc<Rank>) {
        self.ranks.insert((key, Arc::clone(rank)));
    }

    pub(super) fn remove(&mut self, key: K, rank: &Arc<Rank>) {
        self.ranks.remove(&(key, Arc::clone(rank)));
    }

    /// Everyone who asks for it, the winner first.
    pub(super) fn of(&self, key: K) -> impl Iterator<Item = &Arc<Rank>> {
        self.ranks
            .range((key, Arc::clone(&self.least))..)
            .take_while(move |(other, _)| *other == key)
            .map(|(_, rank)| rank)
    }
}
