//! What Prometheus answers to an instant query.

use serde::Deserialize;
use thiserror::Error;

use crate::subject::Labels;

/// Series of one answer, at most.
const SERIES: usize = 10_000;

/// One series of a vector, with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Its value, which may be infinite or no number.
    pub value: f64,
}

/// Why an answer says nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// It is none of Prometheus.
    #[error("the answer is none of Prometheus' HTTP API: {0}")]
    Foreign(String),
    /// The query was refused.
    #[error("Prometheus refuses the query: {0}")]
    Refused(String),
    /// The query gives something else.
    #[error("the query gives a {0}, not a vector; aggregate `by (...)`")]
    Kind(String),
    /// There is far more than can be meant.
    #[error("the query gives {0} series, more than {SERIES}; aggregate `by (...)`")]
    Series(usize),
    /// Series without any label that names somebody.
    #[error("a series has no label that names {0}; aggregate `by ({0})`")]
    Nameless(&'static str),
    /// No value is a number.
    #[error("no value is a number")]
    NoNumber,
    /// So many cannot be bad at once.
    #[error("the values of {0} are bad, more than {1}: more than a status has room for")]
    TooMany(usize, usize),
}

#[derive(Deserialize)]
struct Body {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    value: (f64, String),
}

/// Reads the body of an answer.
///
/// # Errors
///
/// Where it is nothing that can be compared with a threshold.
pub fn samples(body: &[u8]) -> Result<Vec<Sample>, Unusable> {
    let foreign = |error: serde_json::Error| Unusable::Foreign(error.to_string());
    let Body { status, data, error } = serde_json::from_slice(body).map_err(foreign)?;
    if status != "success" {
        return Err(Unusable::Refused(error.unwrap_or(status)));
    }
    let Some(Data { result_type, result }) = data else {
        return Err(Unusable::Foreign("it has no data".to_owned()));
    };
    if result_type != "vector" {
        return Err(Unusable::Kind(result_type));
    }
    let series: Vec<Series> = serde_json::from_value(result).map_err(foreign)?;
    if series.len() > SERIES {
        return Err(Unusable::Series(series.len()));
    }
    let sample = |Series { metric: labels, value: (_, text) }| {
        // `+Inf`, `-Inf` and `NaN` are what Rust reads as such, too.
        let value =
            text.parse().map_err(|_| Unusable::Foreign(format!("`{text}` is no number")))?;
        Ok(Sample { labels, value })
    };
    series.into_iter().map(sample).collect()
}
