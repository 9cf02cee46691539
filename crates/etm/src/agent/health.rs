/// What load balancers and the kubelet may be told of this agent (KEP-3836).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// The maps are as planned: no failed write waits to be made good.
    pub(super) programmed: bool,
    /// This node is being deleted.
    pub(super) node_deleting: bool,
}

impl Health {
    /// What `/livez` says: nothing would be better after a restart where this holds.
    pub(super) fn is_live(self) -> bool {
        self.programmed
    }

    /// What `/healthz` says: load balancers may send new connections to this node.
    pub(super) fn is_healthy(self) -> bool {
        self.is_live() && !self.node_deleting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_deleted_is_live_but_not_healthy() {
        let health = |programmed, node_deleting| {
            let health = Health { programmed, node_deleting };
            (health.is_live(), health.is_healthy())
        };
        assert_eq!(health(true, false), (true, true));
        assert_eq!(health(true, true), (true, false));
        assert_eq!(health(false, false), (false, false));
        assert_eq!(Health::default(), Health { programmed: false, node_deleting: false });
    }
}
