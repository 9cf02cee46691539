//! Slices that have left one watch and may be on their way to another one.

use std::{mem, sync::Arc, time::Duration};

use etm_model::{Change, ObjectName};
use tokio::time::Instant;

/// How long the other watch is waited for. One API server tells both of the same change, each in a
/// stream of its own.
const WAIT: Duration = Duration::from_millis(200);

/// Where a slice is that a watch says is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// There, by another watch.
    There,
    /// Gone, or about to be told by another watch.
    Unsure,
    /// Gone.
    Gone,
}

/// Removals that wait until it is sure that they are some, each with when it is.
#[derive(Debug, Default)]
pub(super) struct Leaving(Vec<(Instant, Change)>);

impl Leaving {
    /// Leaves out of `changes` that slices are gone which are there or may be on their way, and adds
    /// those that did not come in time. `find` is given a Service and the name of a slice of it.
    pub(super) fn sift(
        &mut self,
        changes: &mut Vec<Change>,
        now: Instant,
        find: impl Fn(&ObjectName, &Arc<str>) -> Whereabouts,
    ) {
        let mut gone = Vec::new();
        for (sure, change) in mem::take(&mut self.0) {
            match whereabouts(&change, &find) {
                Whereabouts::There => {}
                Whereabouts::Unsure if now < sure => self.0.push((sure, change)),
                Whereabouts::Unsure | Whereabouts::Gone => gone.push(change),
            }
        }
        changes.retain(|change| match whereabouts(change, &find) {
            Whereabouts::There => false,
            Whereabouts::Unsure => {
                self.0.push((now + WAIT, change.clone()));
                false
            }
            Whereabouts::Gone => true,
        });
        changes.append(&mut gone);
    }

    /// When to sift again, if nothing is told before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(sure, _)| *sure).min()
    }
}

fn whereabouts(
    change: &Change,
    find: impl Fn(&ObjectName, &Arc<str>) -> Whereabouts,
) -> Whereabouts {
    match change {
        Change::RemoveSlice(service, slice) => find(service, slice),
        _ => Whereabouts::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(slice: &str) -> Change {
        Change::RemoveSlice(ObjectName::new("shop", "cart"), slice.into())
    }

    fn sifted(
        leaving: &mut Leaving,
        changes: &[Change],
        now: Instant,
        whereabouts: Whereabouts,
    ) -> Vec<Change> {
        let mut changes = changes.to_vec();
        leaving.sift(&mut changes, now, |_, _| whereabouts);
        changes
    }

    #[test]
    fn one_that_comes_by_the_other_watch_was_never_gone() {
        let (mut leaving, now) = (Leaving::default(), Instant::now());
        let other = Change::RemoveService(ObjectName::new("shop", "stock"));
        let told = [gone("a"), other.clone()];
        assert_eq!(sifted(&mut leaving, &told, now, Whereabouts::Unsure), [other]);
        assert_eq!(leaving.next(), Some(now + WAIT));
        assert_eq!(sifted(&mut leaving, &[], now, Whereabouts::There), []);
        assert_eq!(leaving.next(), None);
        assert_eq!(sifted(&mut leaving, &[gone("a")], now, Whereabouts::There), []);
        assert_eq!(leaving.next(), None);
    }

    #[test]
    fn one_that_does_not_come_is_gone_in_time() {
        let (mut leaving, now) = (Leaving::default(), Instant::now());
        assert_eq!(sifted(&mut leaving, &[gone("a")], now, Whereabouts::Unsure), []);
        let later = now + WAIT / 2;
        assert_eq!(sifted(&mut leaving, &[gone("b")], later, Whereabouts::Unsure), []);
        assert_eq!(leaving.next(), Some(now + WAIT));
        assert_eq!(sifted(&mut leaving, &[], now + WAIT, Whereabouts::Unsure), [gone("a")]);
        assert_eq!(leaving.next(), Some(later + WAIT));
    }

    #[test]
    fn one_that_nobody_else_follows_is_gone_at_once() {
        let (mut leaving, now) = (Leaving::default(), Instant::now());
        assert_eq!(sifted(&mut leaving, &[gone("a")], now, Whereabouts::Gone), [gone("a")]);
        assert_eq!(sifted(&mut leaving, &[gone("a")], now, Whereabouts::Unsure), []);
        assert_eq!(sifted(&mut leaving, &[], now, Whereabouts::Gone), [gone("a")]);
        assert_eq!(leaving.next(), None);
    }
}
