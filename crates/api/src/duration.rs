use std::{borrow::Cow, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What a duration looks like in GEP-2257, which bounds its digits so that any reader can hold it.
const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// Four parts of five digits and a unit.
const LONGEST: usize = 28;
/// The least digits and parts that are too many.
const DIGITS: usize = 6;
const PARTS: usize = 5;

/// A duration as Gateway API has it (GEP-2257): `30s`, `1m30s`, `500ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    text: String,
    value: time::Duration,
}

impl Duration {
    /// How long it is.
    #[must_use]
    pub const fn get(&self) -> time::Duration {
        self.value
    }

    /// So many seconds, at most 99,999.
    pub(crate) fn seconds(seconds: u32) -> Self {
        let value = time::Duration::from_secs(seconds.into());
        Self { text: format!("{seconds}s"), value }
    }

    fn parse(text: &str) -> Option<Self> {
        // The parser of kube takes more than GEP-2257 does, and a number that is too large for it
        // to hold would end the process.
        if !is_bounded(text) {
            return None;
        }
        let value: kube::core::Duration = text.parse().ok()?;
        Some(Self { text: text.to_owned(), value: value.into() })
    }
}

/// Whether a text has no more and no other characters than the pattern allows.
fn is_bounded(text: &str) -> bool {
    let known = |c: char| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's');
    let digits = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    text.ends_with(|c: char| !c.is_ascii_digit())
        && text.chars().all(known)
        && digits.clone().all(|digits| digits.len() < DIGITS)
        && digits.count() < PARTS
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is not a duration such as 30s, 1m30s or 500ms (units h, m, s and ms, at \
                 most five digits each)"
            ))
        })
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": LONGEST, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration as Time;

    use super::*;

    #[test]
    fn durations_of_gep_2257() {
        for (text, millis) in [
            ("0s", 0),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h2m3s4ms", 3_723_004),
            ("99999h", 359_996_400_000),
            ("1s1s", 2_000),
        ] {
            let parsed = Duration::parse(text);
            assert_eq!(parsed.map(|d| d.get()), Some(Time::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "30",
            "s",
            "-30s",
            "+30s",
            "1.5s",
            " 30s",
            "30 s",
            "1e9h",
            "10us",
            "100000s",
            "1s1s1s1s1s",
            "hello",
            "30S",
            "mm",
            "0",
            "5s0",
            "1ss",
            "99999999999999999999999999h",
            "s30",
        ] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }
}
