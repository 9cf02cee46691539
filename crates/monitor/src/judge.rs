//! From results, one after another, to who is out; pure.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use etm_model::Query;
use k8s_openapi::jiff::Timestamp;

use crate::{
    answer::{Sample, Unusable},
    subject::{Named, Subject, Subjects},
};

/// Subjects that one monitor ejects, at most: each takes some 200 bytes of a status that all agents
/// are sent.
const EJECTED: usize = 256;

/// The results of one query, remembered as far as they count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    /// Bad results in a row of those that are in.
    bad: BTreeMap<Subject, u32>,
    pub(crate) out: BTreeMap<Subject, Out>,
    /// When the last usable answer came.
    heard: Option<Instant>,
}

/// One that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Out {
    pub(crate) message: Arc<str>,
    pub(crate) since: Timestamp,
    /// Good results in a row.
    good: u32,
}

impl Out {
    pub(crate) fn new(message: Arc<str>, since: Timestamp) -> Self {
        Self { message, since, good: 0 }
    }
}

impl Judge {
    /// One who has taken over those who are out, at this time.
    pub(crate) fn heir(out: BTreeMap<Subject, Out>, now: Instant) -> Self {
        Self { bad: BTreeMap::new(), out, heard: Some(now) }
    }

    /// When those who are out return unless there is a usable answer before.
    pub(crate) fn expiry(&self, query: &Query) -> Option<Instant> {
        self.heard.filter(|_| !self.out.is_empty()).map(|heard| heard + query.hold)
    }

    /// Lets those return who are out without a word for too long.
    pub(crate) fn expire(&mut self, query: &Query, now: Instant) {
        if self.expiry(query).is_some_and(|expiry| expiry <= now) {
            self.out.clear();
            self.bad.clear();
        }
    }

    /// Takes in an answer.
    ///
    /// One whose series is missing, or is no number, had a good result: a query with a condition in
    /// it has no series for who is well, and a share of failures has none, or NaN, for who is out and
    /// gets no calls. It still takes `recovery` of them, so that one scrape that fails returns nobody.
    pub(crate) fn take(
        &mut self,
        query: &Query,
        subjects: &Subjects,
        samples: &[Sample],
        now: Instant,
        time: Timestamp,
    ) -> Result<(), Unusable> {
        let bad = bad(query, subjects, samples)?;
        self.heard = Some(now);
        let out = std::mem::take(&mut self.out).into_iter();
        // A status without UIDs, as another version may have written it, names whoever is there.
        let out = out.filter_map(|(subject, out)| Some((subjects.known(&subject)?, out)));
        self.out = out.collect();
        self.out.retain(|subject, out| {
            out.good = if bad.contains_key(subject) { 0 } else { out.good + 1 };
            out.good < query.recovery
        });
        let before = std::mem::take(&mut self.bad);
        for (subject, value) in bad {
            if self.out.contains_key(&subject) {
                continue;
            }
            let count = before.get(&subject).copied().unwrap_or_default() + 1;
            if count < query.consecutive {
                self.bad.insert(subject, count);
                continue;
            }
            let message = format!("{value} {}, {count} times in a row", query.bad);
            self.out.insert(subject, Out::new(message.into(), time));
        }
        Ok(())
    }
}

/// Those with a bad value, of several the first.
fn bad(
    query: &Query,
    subjects: &Subjects,
    samples: &[Sample],
) -> Result<BTreeMap<Subject, f64>, Unusable> {
    let mut bad = BTreeMap::new();
    let mut numbers = 0;
    for sample in samples {
        let named = subjects.named(&sample.labels);
        if named == Named::Nobody {
            return Err(Unusable::Nameless(subjects.label()));
        }
        if !sample.value.is_finite() {
            continue;
        }
        numbers += 1;
        if let Named::Subject(subject) = named
            && query.bad.is(sample.value)
        {
            bad.entry(subject).or_insert(sample.value);
        }
    }
    if numbers == 0 && !samples.is_empty() {
        return Err(Unusable::NoNumber);
    }
    if bad.len() > EJECTED {
        return Err(Unusable::TooMany(bad.len(), EJECTED));
    }
    Ok(bad)
}

#[cfg(test)]
mod tests;
