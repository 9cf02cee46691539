use std::{cell::RefCell, collections::HashSet, sync::Arc};

use etm_model::Locality;
use k8s_openapi::api::discovery::v1;

/// Localities below which it is not worth looking for those that nobody has any more.
const FEW: usize = 1024;

thread_local! {
    /// Of each thread, so that none waits for another: there are few more localities than nodes.
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { set: None, sweep_at: FEW }) };
}

/// Localities that endpoints of this thread's making have, so that those that are alike share one:
/// 100,000 endpoints with the name of their node each would take some 10 MiB.
struct Known {
    set: Option<HashSet<Arc<Locality>>>,
    /// How many make it worth to look for those that nobody has any more.
    sweep_at: usize,
}

/// What an endpoint says of nodes and zones; none where it says nothing. Hints without a name are
/// none.
pub(crate) fn locality(
    node: Option<&str>,
    zone: Option<&str>,
    hints: Option<&v1::EndpointHints>,
) -> Option<Arc<Locality>> {
    let for_nodes = hints.and_then(|hints| hints.for_nodes.as_deref()).unwrap_or_default();
    let for_zones = hints.and_then(|hints| hints.for_zones.as_deref()).unwrap_or_default();
    let locality = Locality {
        node: named(node),
        zone: named(zone),
        for_nodes: for_nodes.iter().filter_map(|node| named(Some(&node.name))).collect(),
        for_zones: for_zones.iter().filter_map(|zone| named(Some(&zone.name))).collect(),
    };
    (locality != Locality::default()).then(|| KNOWN.with_borrow_mut(|known| known.share(locality)))
}

fn named(name: Option<&str>) -> Option<Box<str>> {
    name.filter(|name| !name.is_empty()).map(Into::into)
}

impl Known {
    fn share(&mut self, locality: Locality) -> Arc<Locality> {
        let set = self.set.get_or_insert_default();
        if let Some(known) = set.get(&locality) {
            return Arc::clone(known);
        }
        if set.len() >= self.sweep_at {
            set.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = FEW.max(set.len() * 2);
        }
        let locality = Arc::new(locality);
        set.insert(Arc::clone(&locality));
        locality
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_one_and_what_nobody_has_is_forgotten() {
        let (one, other) = (locality(Some("a"), None, None), locality(Some("a"), None, None));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        let kept: Vec<_> =
            (0..FEW).map(|i| locality(Some(&format!("kept-{i}")), None, None)).collect();
        for i in 0..10 * FEW {
            locality(Some(&format!("gone-{i}")), None, None);
        }
        KNOWN.with_borrow(|known| assert!(known.set.as_ref().unwrap().len() <= 2 * FEW + 1));
        let again = locality(Some("kept-7"), None, None).unwrap();
        assert!(Arc::ptr_eq(&again, kept[7].as_ref().unwrap()));
    }
}
