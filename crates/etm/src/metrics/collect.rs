//! What is read where it stands each time that somebody asks.

use std::{collections::BTreeMap, fmt, sync::Arc};

use etm_source::kubernetes::Statistics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::state::State;

/// How the watches on the API server are.
#[derive(Debug)]
pub(super) struct Watches(Vec<Arc<Statistics>>);

impl Watches {
    pub(super) fn new(watches: &[Arc<Statistics>]) -> Self {
        Self(watches.to_vec())
    }

    fn counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        value: fn(&Statistics) -> u64,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for watch in &self.0 {
            let labels = [("watch", watch.watched().to_string())];
            ConstCounter::new(value(watch)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Collector for Watches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(
            "watch_last_event_age",
            "Since the API server last sent something on this watch, bookmarks included",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for watch in &self.0 {
            let Some(age) = watch.last_event_age() else { continue };
            let labels = [("watch", watch.watched().to_string())];
            ConstGauge::new(age.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        let lists = ("watch_lists", "Full lists begun, the first one included");
        self.counters(&mut encoder, lists, Statistics::lists)?;
        let received = ("watch_received_bytes", "Bytes of lists and events, without headers");
        self.counters(&mut encoder, received, Statistics::received_bytes)?;
        let mut family = encoder.encode_descriptor(
            "watch_errors",
            "Lists and watches that failed, by HTTP status or kind of failure",
            None,
            MetricType::Counter,
        )?;
        for watch in &self.0 {
            for (cause, count) in watch.errors() {
                let labels = [("watch", watch.watched().to_string()), ("cause", cause.to_owned())];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// How much cannot be honoured, and of what sort; `/problems` has the words.
#[derive(Debug)]
pub(super) struct Problems(Arc<State>);

impl Problems {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self(state)
    }
}

impl Collector for Problems {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut counts: BTreeMap<(&str, String), i64> = BTreeMap::new();
        let problems = self.0.problems();
        for problem in problems.iter() {
            let key = (kind(&problem.object), without_indices(&problem.field));
            *counts.entry(key).or_default() += 1;
        }
        let mut family = encoder.encode_descriptor(
            "problems",
            "Parts of objects that could not be programmed, by kind and field",
            None,
            MetricType::Gauge,
        )?;
        for ((kind, field), count) in counts {
            let labels = [("kind", kind), ("field", field.as_str())];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// One of few words, whatever the names of files.
fn kind(object: &str) -> &'static str {
    let first = object.split(' ').next().unwrap_or_default();
    let known = [
        "Service",
        "EndpointSlice",
        "Pod",
        "Node",
        "TrafficPolicy",
        "Lease",
        "watch",
        "directory",
        "cgroup",
        "map",
    ];
    known.into_iter().find(|known| *known == first).unwrap_or("file")
}

/// `spec.ports[1].port` without the number, so that there are as many as the fields.
fn without_indices(field: &str) -> String {
    let mut inside = false;
    let mut text = String::with_capacity(field.len());
    for character in field.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        text.push(character);
    }
    text
}
