use etm_abi::BACKEND_FREE;
use etm_model::{Contents, RouteTable, TableBalance, led_to};

use crate::{error::MapError, maps::Maps};

/// Reads back what the maps hold.
pub(crate) fn contents(maps: &Maps) -> Result<Contents, MapError> {
    let frontends = maps.frontends.all();
    let routes = RouteTable::of_all(frontends.values(), |at| maps.routes.get(at));
    let targets = led_to(frontends.values(), &routes);
    let tables = targets
        .iter()
        .filter_map(|target| {
            let key = (target.table(), target.members());
            table(maps, key.0, key.1).map(|slots| (key, slots))
        })
        .collect();
    let backends = (0..maps.backends.len())
        .filter_map(|id| maps.backends.get(id).map(|backend| (id, backend)))
        .filter(|(_, backend)| backend.state != BACKEND_FREE)
        .collect();
    let balances = TableBalance::of_all(targets, |at| maps.slots.get(at));
    Ok(Contents {
        frontends,
        tables,
        balances,
        routes,
        backends,
        backend_names: maps.backend_names.all()?,
        service_names: maps.service_names.all()?,
        sources: maps.sources.all()?,
    })
}

/// The backend ids of a table; none where it does not lie within the array.
fn table(maps: &Maps, first: u32, members: u32) -> Option<Vec<u32>> {
    let end = first.checked_add(members)?;
    (first..end).map(|slot| Some(half(maps.slots.get(slot / 2)?, slot))).collect()
}

/// One of the two slots of an element.
const fn half(pair: u64, slot: u32) -> u32 {
    (pair >> ((slot % 2) * 32)) as u32
}

/// Packs consecutive slots that begin at an even index into elements; an odd one out is followed
/// by a slot of the same table's padding.
pub(crate) fn pairs(backends: &[u32]) -> impl Iterator<Item = u64> {
    backends.chunks(2).map(|pair| {
        let low = pair.first().copied().unwrap_or_default();
        let high = pair.get(1).copied().unwrap_or_default();
        u64::from(low) | (u64::from(high) << 32)
    })
}
