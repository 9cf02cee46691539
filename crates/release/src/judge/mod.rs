//! What connections and answers of Prometheus tell of the new version.

mod binomial;
mod latency;
mod limits;
mod normal;
mod share;

use etm_api::Analysis;

pub(crate) use limits::Limits;

use self::{
    binomial::exceeds,
    latency::{Batches, slower},
    limits::Connections,
    normal::exceeded_with,
    share::Share,
};

/// What became of connections to the Pods of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections established.
    pub established: u64,
    /// Refused.
    pub refused: u64,
    /// Without an answer.
    pub timed_out: u64,
    /// Of those established, reset by the Pod before it had sent a byte.
    pub reset: u64,
    /// Microseconds that the handshakes of those established took, summed.
    pub rtt: u64,
}

/// What is thought of the new version at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not known yet, for this reason.
    Undecided(String),
    /// Every limit is surely kept.
    Passed(String),
    /// This limit is surely broken.
    Failed(String),
}

/// Judges the new version of one step after the other.
#[derive(Clone, Debug)]
pub struct Judge {
    limits: Limits,
    /// Since the step began.
    new: Tally,
    /// Since the release was first looked at: at late steps few connections reach the stable version.
    old: Tally,
    new_batches: Batches,
    old_batches: Batches,
    looks: u32,
    /// Connections at the last look.
    looked_at: u64,
    shares: Verdict,
    /// For each query: bad answers in a row, good ones in a row, and what the last one said.
    answers: Vec<(u32, u32, String)>,
}

const NAMES: [&str; 4] = ["failed", "refused", "reset", "timed out"];

impl Tally {
    /// Connections that came to something.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.established + self.refused + self.timed_out
    }

    fn counts(&self) -> [u64; 4] {
        let all = self.connections();
        let reset = self.reset.min(self.established);
        let failed = (self.refused + self.timed_out + reset).min(all);
        [failed, self.refused, reset, self.timed_out]
    }

    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        let Self { established, refused, timed_out, reset, rtt } = other;
        self.established += established;
        self.refused += refused;
        self.timed_out += timed_out;
        self.reset += reset;
        self.rtt += rtt;
    }

    fn mean(&self) -> Option<f64> {
        (self.established > 0).then(|| self.rtt as f64 / self.established as f64)
    }
}

impl Judge {
    /// One who has seen nothing; none where the analysis cannot be used.
    #[must_use]
    pub fn new(analysis: &Analysis) -> Option<Self> {
        let limits = Limits::of(analysis).ok()?;
        let answers = vec![(0, 0, "was not asked yet".to_owned()); limits.queries.len()];
        Some(Self {
            limits,
            new: Tally::default(),
            old: Tally::default(),
            new_batches: Batches::default(),
            old_batches: Batches::default(),
            looks: 0,
            looked_at: 0,
            shares: Verdict::Undecided("no connection was seen yet".to_owned()),
            answers,
        })
    }

    /// A step begins: what was seen of the new version before says nothing of it.
    pub fn begin_step(&mut self) {
        (self.new, self.new_batches) = (Tally::default(), Batches::default());
        (self.looks, self.looked_at) = (0, 0);
        self.shares = Verdict::Undecided("no connection was seen yet".to_owned());
        for answer in &mut self.answers {
            *answer = (0, 0, "was not asked yet".to_owned());
        }
    }

    /// Takes in what became of connections since the last look.
    pub fn observe(&mut self, new: Tally, old: Tally) {
        self.new.add(new);
        self.old.add(old);
        new.mean().into_iter().for_each(|mean| self.new_batches.add(mean));
        old.mean().into_iter().for_each(|mean| self.old_batches.add(mean));
        let Some(limits) = &self.limits.connections else { return };
        let seen = self.new.connections();
        if seen < limits.minimum {
            let told =
                format!("{seen} of at least {} connections to the new version", limits.minimum);
            self.shares = Verdict::Undecided(told);
            return;
        }
        // Whoever looks often sees chance break a limit sooner or later. So there is a look only once a
        // tenth more connections have come, and the k-th one may err with 1/(k(k+1)) of what all may
        // together, which sums up to all of it.
        if self.looks > 0 && seen * 10 < self.looked_at * 11 {
            return;
        }
        self.looks += 1;
        self.looked_at = seen;
        let alpha = limits.alpha / (f64::from(self.looks) * f64::from(self.looks + 1));
        self.shares = self.look(limits, alpha);
    }

    /// Takes in what a query gave, by its place: its values, or why there are none that say something.
    pub fn answer(&mut self, query: usize, values: Result<&[f64], String>) {
        let (Some(limits), Some(answer)) =
            (self.limits.queries.get(query), self.answers.get_mut(query))
        else {
            return;
        };
        match values {
            Err(reason) => answer.2 = reason,
            Ok([]) => "gives no series".clone_into(&mut answer.2),
            Ok(values) => match values.iter().find(|value| limits.bad.is(**value)) {
                Some(value) => *answer = (answer.0 + 1, 0, format!("{value} is {}", limits.bad)),
                None if values.iter().all(|value| value.is_nan()) => {
                    "gives no number".clone_into(&mut answer.2);
                }
                None => *answer = (0, answer.1 + 1, format!("no value is {}", limits.bad)),
            },
        }
    }

    /// What is thought now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut waits = Vec::new();
        let mut passed = Vec::new();
        if self.limits.connections.is_some() {
            match &self.shares {
                Verdict::Failed(why) => return Verdict::Failed(why.clone()),
                Verdict::Undecided(why) => waits.push(why.clone()),
                Verdict::Passed(why) => passed.push(why.clone()),
            }
        }
        for (limits, (bad, good, said)) in self.limits.queries.iter().zip(&self.answers) {
            let told = format!("query {}: {said}", limits.name);
            if *bad >= limits.consecutive {
                return Verdict::Failed(told);
            }
            if *good >= limits.passes { passed.push(told) } else { waits.push(told) }
        }
        if waits.is_empty() {
            Verdict::Passed(passed.join("; "))
        } else {
            Verdict::Undecided(waits.join("; "))
        }
    }

    fn look(&self, limits: &Connections, alpha: f64) -> Verdict {
        let asked = limits.shares.iter().flatten().count()
            + usize::from(limits.worse_by.is_some())
            + usize::from(limits.latency_factor.is_some());
        // Several limits, of which none may be found broken by chance.
        let alpha = alpha / asked.max(1) as f64;
        let z = exceeded_with(alpha);
        let (new, old) = (self.new.connections(), self.old.connections());
        let mut waits = None;
        let mut judge = |what: String, broken: Option<bool>| match broken {
            Some(true) => Some(Verdict::Failed(what)),
            Some(false) => None,
            None => {
                waits.get_or_insert(format!("not sure yet: {what}"));
                None
            }
        };
        for ((count, limit), name) in self.new.counts().into_iter().zip(limits.shares).zip(NAMES) {
            let Some(limit) = limit else { continue };
            let told = format!("{count} of {new} connections {name}, limit {}", percent(limit));
            if let Some(failed) = judge(told, exceeds(count, new, limit, alpha)) {
                return failed;
            }
        }
        if let Some(limit) = limits.worse_by {
            let ([bad, ..], [before, ..]) = (self.new.counts(), self.old.counts());
            let share = Share::of(bad, new, z).above(Share::of(before, old, z));
            let told = format!(
                "{bad} of {new} connections failed, of the stable version {before} of {old}, limit \
                 {} more",
                percent(limit)
            );
            let broken = if old == 0 { None } else { beyond(share, limit) };
            if let Some(failed) = judge(told, broken) {
                return failed;
            }
        }
        if let Some(factor) = limits.latency_factor {
            let (after, before) = (self.new_batches, self.old_batches);
            let told = format!(
                "handshakes take {:.3} ms, of the stable version {:.3} ms, limit {factor} times as \
                 long",
                after.mean() / 1e3,
                before.mean() / 1e3
            );
            if let Some(failed) = judge(told, slower(&after, &before, factor, alpha)) {
                return failed;
            }
        }
        waits.map_or_else(
            || Verdict::Passed(format!("{} of {new} connections failed", self.new.counts()[0])),
            Verdict::Undecided,
        )
    }
}

/// Whether a share is surely larger than it may be, or surely not.
fn beyond(share: Share, limit: f64) -> Option<bool> {
    if share.lower > limit {
        return Some(true);
    }
    (share.upper <= limit).then_some(false)
}

fn percent(share: f64) -> String {
    let percent = (share * 1e5).round() / 1e3;
    format!("{percent}%")
}
