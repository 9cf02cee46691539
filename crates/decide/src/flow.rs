use etm_abi::{Target, UdpFlow};

use crate::Tables;

/// Whether an unconnected socket may keep the backend that it was given for a frontend: the flow,
/// brought up to the frontend's present table, or none where another backend must be chosen.
///
/// As long as the table is the one at which the flow was last checked, membership needs no look;
/// after a change the table is searched once. `generation` must have been read before `target`: a
/// new table under the old generation is searched once more, the old table under the new generation
/// would never be searched again.
#[inline(always)]
#[must_use]
pub fn keep<T: Tables>(
    tables: &T,
    generation: u32,
    target: Target,
    flow: UdpFlow,
) -> Option<(UdpFlow, T::Backend)> {
    let kept = tables.available(flow.backend)?;
    if flow.generation == generation {
        return Some((flow, kept));
    }
    tables
        .search(target.members(), |member| {
            let backend = tables.slot(target.table().wrapping_add(member))?;
            (backend == flow.backend).then_some(backend)
        })
        .map(|backend| (UdpFlow { backend, generation }, kept))
}
