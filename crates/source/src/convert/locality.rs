use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use etm_model::Locality;
use k8s_openapi::api::discovery::v1;

/// Localities below which it is not worth looking for those that nobody has any more.
const FEW: usize = 1024;

/// Those that endpoints have, for all threads: a directory is read on all processors, and the same
/// nodes are everywhere in it.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Localities, so that endpoints that are alike share one: 100,000 of them with the name of their
/// node each would take some 10 MiB. There are hardly more localities than nodes.
#[derive(Default)]
struct Known {
    set: HashSet<Arc<Locality>>,
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
    if locality == Locality::default() {
        return None;
    }
    // After a panic the set is still a set.
    Some(KNOWN.lock().unwrap_or_else(PoisonError::into_inner).share(locality))
}

fn named(name: Option<&str>) -> Option<Box<str>> {
    name.filter(|name| !name.is_empty()).map(Into::into)
}

impl Known {
    fn share(&mut self, locality: Locality) -> Arc<Locality> {
        if let Some(known) = self.set.get(&locality) {
            return Arc::clone(known);
        }
        if self.set.len() >= self.sweep_at {
            self.set.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = FEW.max(self.set.len() * 2);
        }
        let locality = Arc::new(locality);
        self.set.insert(Arc::clone(&locality));
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
        // Other tests have some as well.
        assert!(KNOWN.lock().unwrap().set.len() <= 4 * FEW);
        let again = locality(Some("kept-7"), None, None).unwrap();
        assert!(Arc::ptr_eq(&again, kept[7].as_ref().unwrap()));
    }
}
