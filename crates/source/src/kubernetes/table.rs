use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use etm_model::{ObjectName, Problem};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use kube::{Resource, runtime::watcher::Event};

use super::kind::{Batch, Kind};
use crate::{Arrival, convert::Converted};

/// Which objects of one kind the API server has, and what was told of them. The objects
/// themselves are kept by whoever was told.
pub(super) struct Table<K: Kind> {
    proxy_name: Option<String>,
    known: BTreeMap<ObjectName, Known<K::Told>>,
    /// What is wrong with some of them.
    problems: BTreeMap<ObjectName, Vec<Problem>>,
    /// What a list has brought that has not come to its end; until then the old state counts.
    listing: Option<BTreeMap<ObjectName, Listed<K>>>,
    complete: bool,
}

struct Known<T> {
    version: u64,
    /// None for what no proxy handles or can use.
    told: Option<T>,
    triggered: Option<Timestamp>,
}

/// An object of a list.
enum Listed<K: Kind> {
    /// It is as it was.
    Same,
    /// It is new or another.
    Other(Box<Read<K>>),
}

/// An object as it was read.
struct Read<K: Kind> {
    version: u64,
    received: Instant,
    triggered: Option<Timestamp>,
    converted: Converted<K::Model>,
}

impl<K: Kind> Table<K> {
    pub(super) fn new(proxy_name: Option<String>) -> Self {
        Self {
            proxy_name,
            known: BTreeMap::new(),
            problems: BTreeMap::new(),
            listing: None,
            complete: false,
        }
    }

    /// Whether there was a list that came to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The same, to be listed anew before it is complete.
    pub(super) fn anew(self) -> Self {
        Self { listing: None, complete: false, ..self }
    }

    /// What was told of one object.
    pub(super) fn told_of(&self, name: &ObjectName) -> Option<&K::Told> {
        self.known.get(name)?.told.as_ref()
    }

    /// What was told of each object.
    pub(super) fn told(&self) -> impl Iterator<Item = (&ObjectName, &K::Told)> {
        self.known.iter().filter_map(|(name, known)| Some((name, known.told.as_ref()?)))
    }

    /// What is wrong with objects, ordered by their names.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values().flatten()
    }

    /// Takes in what a watch says, and adds to the batch what that changes.
    pub(super) fn take(&mut self, event: Event<K::Object>, received: Instant, batch: &mut Batch) {
        match event {
            Event::Init => self.listing = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                let name = name(object.meta());
                let listed = self.read(&name, &object, received);
                let listed = listed.map_or(Listed::Same, |read| Listed::Other(Box::new(read)));
                self.listing.get_or_insert_default().insert(name, listed);
            }
            Event::InitDone => self.replace(batch),
            Event::Apply(object) => {
                let name = name(object.meta());
                if let Some(read) = self.read(&name, &object, received) {
                    self.set(name, read, batch);
                }
            }
            Event::Delete(object) => self.remove(&name(object.meta()), received, batch),
        }
    }

    /// Takes it that there are no objects, whatever there was.
    pub(super) fn clear(&mut self, batch: &mut Batch) {
        self.listing = None;
        self.replace(batch);
    }

    /// Reduces an object; none where it is the one that is known.
    fn read(&self, name: &ObjectName, object: &K::Object, received: Instant) -> Option<Read<K>> {
        let version = version(object.meta());
        if self.known.get(name).is_some_and(|known| known.version == version) {
            return None;
        }
        let converted = K::convert(object).for_proxy(self.proxy_name.as_deref());
        Some(Read { version, received, triggered: K::triggered(object), converted })
    }

    /// A list is complete: what it lacks is gone, however that was missed.
    fn replace(&mut self, batch: &mut Batch) {
        let received = Instant::now();
        let listing = self.listing.take().unwrap_or_default();
        let gone: Vec<_> =
            self.known.keys().filter(|name| !listing.contains_key(name)).cloned().collect();
        for name in gone {
            self.remove(&name, received, batch);
        }
        for (name, listed) in listing {
            if let Listed::Other(read) = listed {
                self.set(name, *read, batch);
            }
        }
        self.complete = true;
    }

    fn set(&mut self, name: ObjectName, read: Read<K>, batch: &mut Batch) {
        let Read { version, received, triggered, converted } = read;
        let before = self.known.remove(&name);
        let (before, last) = before.map_or((None, None), |known| (known.told, known.triggered));
        if converted.problems.is_empty() {
            self.problems.remove(&name);
        } else {
            self.problems.insert(name.clone(), converted.problems);
        }
        let mut told = converted.object.as_ref().map(K::told);
        let others = batch.changes.len();
        match (converted.object, before) {
            (Some(model), before) => K::set(model, before, batch),
            (None, Some(before)) if converted.stays.is_some() => told = Some(before),
            (None, Some(before)) => K::remove(&name, before, batch),
            (None, None) => {}
        }
        if batch.changes.len() > others {
            // Whoever changes something else about a slice leaves the annotation as it was.
            let triggered = triggered.filter(|time| last != Some(*time));
            batch.arrivals.push(Arrival { received, triggered: triggered.map(Into::into) });
        }
        self.known.insert(name, Known { version, told, triggered });
    }

    /// The annotation of what is deleted is that of its last change, so it says nothing.
    fn remove(&mut self, name: &ObjectName, received: Instant, batch: &mut Batch) {
        self.problems.remove(name);
        let Some(Known { told: Some(told), .. }) = self.known.remove(name) else { return };
        let others = batch.changes.len();
        K::remove(name, told, batch);
        if batch.changes.len() > others {
            batch.arrivals.push(Arrival { received, triggered: None });
        }
    }
}

fn name(metadata: &ObjectMeta) -> ObjectName {
    ObjectName::new(
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

/// Tells one state of one object from any other: an object that was made anew under the same name
/// has another UID.
fn version(metadata: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    metadata.resource_version.hash(&mut hasher);
    hasher.finish()
}
