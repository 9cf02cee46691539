use etm_abi::{Frontend, UdpFlow};

use crate::Tables;

/// Whether an unconnected socket may keep the backend that it was given for a frontend: the flow,
/// brought up to the frontend's present table, or none where another backend must be chosen.
///
/// As long as the table is the one at which the flow was last checked, membership needs no look;
/// after a change the table is searched once.
#[inline(always)]
#[must_use]
pub fn keep<T: Tables>(tables: &T, frontend: &Frontend, flow: UdpFlow) -> Option<UdpFlow> {
    if !tables.available(flow.backend) {
        return None;
    }
    if flow.generation == frontend.generation {
        return Some(flow);
    }
    tables
        .search(frontend.members, |member| {
            let backend = tables.slot(frontend.table.wrapping_add(member))?;
            (backend == flow.backend).then_some(backend)
        })
        .map(|backend| UdpFlow { backend, generation: frontend.generation })
}
