use etm_api::{Analysis, Operator};
use etm_model::Bad;

/// What an analysis asks for, as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(super) connections: Option<Connections>,
    pub(super) queries: Vec<Query>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Connections {
    /// Largest shares, with their names: all failures, refused, reset, timed out.
    pub(super) shares: [Option<f64>; 4],
    pub(super) worse_by: Option<f64>,
    pub(super) latency_factor: Option<f64>,
    pub(super) minimum: u64,
    /// How unsure a verdict may be.
    pub(super) alpha: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) name: String,
    pub(super) bad: Bad,
    pub(super) consecutive: u32,
    pub(super) passes: u32,
}

impl Limits {
    /// What an analysis asks for, or field and reason of what is wrong with it.
    pub(crate) fn of(analysis: &Analysis) -> Result<Self, (String, String)> {
        let connections = match &analysis.connections {
            None => None,
            Some(given) => {
                let share = |name: &str, text: &Option<String>| percent(name, text.as_deref());
                let success = share("successShare", &given.success_share)?;
                let factor = number("latencyFactor", given.latency_factor.as_deref())?;
                if factor.is_some_and(|factor| factor < 1.0) {
                    let reason = "is less than 1: the new version would have to be faster than the \
                                  stable one; allow more, as 1.2";
                    return Err(("connections.latencyFactor".to_owned(), reason.to_owned()));
                }
                let limits = Connections {
                    shares: [
                        success.map(|success| 1.0 - success),
                        share("refusedShare", &given.refused_share)?,
                        share("resetShare", &given.reset_share)?,
                        share("timedOutShare", &given.timed_out_share)?,
                    ],
                    worse_by: share("worseBy", &given.worse_by)?,
                    latency_factor: factor,
                    minimum: given.minimum.max(1).unsigned_abs().into(),
                    alpha: f64::from(100 - given.confidence.clamp(50, 99)) / 100.0,
                };
                let shares = limits.shares.iter().chain([&limits.worse_by]).flatten();
                if shares.into_iter().any(|share| *share <= 0.0) {
                    let reason = "allows no failure at all, of which nothing can be sure; allow \
                                  some, as 0.1 percent";
                    return Err(("connections".to_owned(), reason.to_owned()));
                }
                Some(limits)
            }
        };
        let queries = analysis.queries.iter().enumerate().map(|(i, given)| {
            let threshold = given.threshold.parse().ok();
            let bad = threshold.and_then(match given.operator {
                Operator::GreaterThan => Bad::greater_than,
                Operator::LessThan => Bad::less_than,
            });
            let field = || (format!("queries[{i}].threshold"), "is no number".to_owned());
            Ok::<_, (String, String)>(Query {
                name: given.name.clone(),
                bad: bad.ok_or_else(field)?,
                consecutive: given.consecutive.max(1).unsigned_abs(),
                passes: given.passes.max(1).unsigned_abs(),
            })
        });
        let queries = queries.collect::<Result<Vec<_>, _>>()?;
        if connections.is_none() && queries.is_empty() {
            let reason = "has neither connections nor queries".to_owned();
            return Err((String::new(), reason));
        }
        Ok(Self { connections, queries })
    }
}

fn percent(name: &str, text: Option<&str>) -> Result<Option<f64>, (String, String)> {
    let share = number(name, text)?.map(|percent| percent / 100.0);
    if share.is_some_and(|share| share > 1.0) {
        return Err((format!("connections.{name}"), "is more than 100 percent".to_owned()));
    }
    Ok(share)
}

fn number(name: &str, text: Option<&str>) -> Result<Option<f64>, (String, String)> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    let wrong = || (format!("connections.{name}"), format!("`{text}` is no number"));
    number.map(Some).ok_or_else(wrong)
}
