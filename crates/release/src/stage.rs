//! The steps of a strategy.

use std::time::Duration;

use etm_api::{Pause, ReleaseSpec, RouteCallers, Strategy};

use crate::judge::Limits;

/// One step of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage<'a> {
    /// Who reaches the new version.
    pub who: Who<'a>,
    /// What it waits for.
    pub wait: Wait,
}

impl Stage<'_> {
    /// What it is, in words.
    pub(crate) fn told(&self) -> String {
        let who = match self.who {
            Who::Weight(percent) => format!("{percent}% of connections reach the new version"),
            Who::Percent(percent) => format!("{percent}% of callers reach the new version"),
            Who::Callers([]) => "nobody reaches the new version yet".to_owned(),
            Who::Callers(_) => "chosen callers reach the new version".to_owned(),
            Who::Everyone => "everyone reaches the new version, the old one is kept".to_owned(),
        };
        match self.wait {
            Wait::Nothing => who,
            Wait::Time(time) => format!("{who}, for {time:?}"),
            Wait::Promotion => format!("{who}, until it is promoted"),
        }
    }
}

/// Who reaches the new version in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// So many percent of connections.
    Weight(u32),
    /// So many percent of callers.
    Percent(u32),
    /// Callers that one of these selects; nobody where there is none.
    Callers(&'a [RouteCallers]),
    /// Everyone, but for the Pods of the stable version.
    Everyone,
}

impl Who<'_> {
    /// Whether that is nobody, but for callers that steps before have chosen.
    pub(crate) fn is_nobody(self) -> bool {
        matches!(self, Self::Weight(0) | Self::Percent(0) | Self::Callers([]))
    }
}

/// What a step waits for, besides the analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing.
    Nothing,
    /// That so much time has passed.
    Time(Duration),
    /// That somebody promotes it.
    Promotion,
}

/// The steps of a strategy in order, the one that holds last; none where it has no kind.
#[must_use]
pub fn stages(strategy: &Strategy) -> Vec<Stage<'_>> {
    let mut stages = Vec::new();
    let hold = match (&strategy.canary, &strategy.blue_green) {
        (Some(canary), _) => {
            stages.extend(canary.steps.iter().map(|step| {
                let who = match (step.weight, step.percent, &step.callers) {
                    (Some(weight), _, _) => Who::Weight(percent(weight)),
                    (_, Some(share), _) => Who::Percent(percent(share)),
                    (_, _, callers) => Who::Callers(callers.as_deref().unwrap_or_default()),
                };
                Stage { who, wait: wait(step.pause.as_ref()) }
            }));
            &canary.hold
        }
        (None, Some(blue_green)) => {
            let wait = wait(blue_green.pause.as_ref());
            stages.push(Stage { who: Who::Callers(&blue_green.preview), wait });
            &blue_green.hold
        }
        (None, None) => return stages,
    };
    stages.push(Stage { who: Who::Everyone, wait: Wait::Time(hold.get()) });
    stages
}

/// What is wrong with a spec, with the field, that no schema has refused.
///
/// # Errors
///
/// Field and reason of the first thing that is wrong.
pub fn check(spec: &ReleaseSpec) -> Result<(), (String, String)> {
    let wrong = |field: String, reason: &str| Err((field, reason.to_owned()));
    if spec.services.is_empty() || spec.services.len() > 16 {
        return wrong("spec.services".to_owned(), "has not 1 to 16 Services");
    }
    for (i, released) in spec.services.iter().enumerate() {
        let field = format!("spec.services[{i}]");
        if spec.services.iter().take(i).any(|other| other.service == released.service) {
            return wrong(format!("{field}.service"), "is listed before");
        }
        for (name, version) in [("stable", &released.stable), ("new", &released.new)] {
            let labels = version.labels.as_ref().filter(|labels| !labels.is_empty());
            if version.service.is_some() == labels.is_some() {
                let reason = "is not either a service or labels of Pods";
                return wrong(format!("{field}.{name}"), reason);
            }
        }
        if released.stable == released.new {
            return wrong(format!("{field}.new"), "is the same as stable");
        }
    }
    let strategy = &spec.strategy;
    match (&strategy.canary, &strategy.blue_green) {
        (Some(canary), None) => {
            if canary.steps.is_empty() || canary.steps.len() > 32 {
                return wrong("spec.strategy.canary.steps".to_owned(), "has not 1 to 32 steps");
            }
            for (i, step) in canary.steps.iter().enumerate() {
                let field = format!("spec.strategy.canary.steps[{i}]");
                let said = [step.weight.is_some(), step.percent.is_some(), step.callers.is_some()];
                if said.iter().filter(|said| **said).count() != 1 {
                    return wrong(field, "has not one of weight, percent and callers");
                }
                let share = step.weight.or(step.percent);
                if share.is_some_and(|share| !(0..=100).contains(&share)) {
                    return wrong(field, "has a share that is not 0 to 100");
                }
                if step.callers.as_ref().is_some_and(Vec::is_empty) {
                    return wrong(format!("{field}.callers"), "is empty");
                }
            }
        }
        (None, Some(_)) => {}
        _ => return wrong("spec.strategy".to_owned(), "is not either canary or blueGreen"),
    }
    if let Some(analysis) = &spec.analysis {
        Limits::of(analysis)
            .map_err(|(field, reason)| (format!("spec.analysis.{field}"), reason))?;
    }
    Ok(())
}

fn wait(pause: Option<&Pause>) -> Wait {
    match pause {
        None => Wait::Nothing,
        Some(Pause { duration: None }) => Wait::Promotion,
        Some(Pause { duration: Some(duration) }) => Wait::Time(duration.get()),
    }
}

fn percent(share: i32) -> u32 {
    u32::try_from(share.clamp(0, 100)).unwrap_or_default()
}
