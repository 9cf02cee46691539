use etm_abi::{Class, UdpFlow};

use crate::Tables;

/// Whether an unconnected socket may keep the backend that it was given for a frontend: the flow,
/// brought up to the frontend's present table, or none where another backend must be chosen.
///
/// As long as what the frontend leads to is what it was when the flow was last checked, membership
/// needs no look; after a change the members are searched once, of a divided class those of each part.
/// `generation` must have been read before `class`: a new one under the old generation is searched
/// once more, the old one under the new generation would never be searched again.
#[inline(always)]
#[must_use]
pub fn keep<T: Tables>(
    tables: &T,
    generation: u32,
    class: Class,
    flow: UdpFlow,
) -> Option<(UdpFlow, T::Backend)> {
    let kept = tables.available(flow.backend)?;
    if flow.generation == generation {
        return Some((flow, kept));
    }
    tables.has_member(class, flow.backend).then_some((UdpFlow { generation, ..flow }, kept))
}
