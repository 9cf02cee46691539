use std::{collections::BTreeSet, time::Duration};

/// How long what no frontend leads to any more stays as it is: a program that read the frontend
/// before may still walk the old table. Programs run for microseconds; a second also covers a CPU
/// that a hypervisor takes away in the middle of one.
pub const GRACE: Duration = Duration::from_secs(1);

/// Something that no frontend leads to any more. In the order in which it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// The route that begins at a line.
    Route(u32),
    /// The table that starts at a slot.
    Table(u32),
    /// The backend of an id.
    Backend(u32),
    /// The service of an id.
    Service(u32),
}

/// What waits for its grace to pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Retired {
    items: BTreeSet<(Duration, Item)>,
}

impl Retired {
    pub(super) fn insert(&mut self, since: Duration, item: Item) {
        self.items.insert((since, item));
    }

    /// Takes back what is wanted again.
    pub(super) fn revive(&mut self, since: Duration, item: Item) {
        self.items.remove(&(since, item));
    }

    /// The next thing whose grace has passed.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Item> {
        let (since, item) = self.items.first().copied()?;
        if since.saturating_add(GRACE) > now {
            return None;
        }
        self.items.pop_first();
        Some(item)
    }

    /// When the next grace passes.
    pub(super) fn next(&self) -> Option<Duration> {
        self.items.first().map(|(since, _)| since.saturating_add(GRACE))
    }

    /// What was retired at a moment.
    pub(super) fn at(&self, since: Duration) -> Vec<Item> {
        let from = (since, Item::Route(0));
        self.items.range(from..).take_while(|(at, _)| *at == since).map(|(_, item)| *item).collect()
    }
}
