//! Fields of an object that nobody has checked.

use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

use super::report::Report;

/// Reads the spec of an object of etm's own, and tells of a field that is missing, is not known or
/// cannot be read; `hint` adds to a way out what counts until then.
pub(super) fn spec<T: DeserializeOwned>(
    spec: &Value,
    report: &mut Report,
    hint: fn(&str) -> String,
) -> Option<T> {
    if spec.is_null() {
        report.add("spec", "is missing", hint("say which Service it is for"));
        return None;
    }
    let mut unknown = Vec::new();
    let read = read("spec", spec, &mut unknown);
    for field in unknown {
        let way = "correct its name or take it away, or upgrade etm to a version that has it";
        report.add(field, "is not known", hint(way));
    }
    read.map_err(|(field, reason)| report.add(field, reason, hint("correct it"))).ok()
}

/// Reads the value of a field into its type, and notes the paths of the fields that it does not
/// have.
///
/// # Errors
///
/// The path of the first field that cannot be read, and why.
pub(super) fn read<T: DeserializeOwned>(
    field: &str,
    value: &Value,
    unknown: &mut Vec<String>,
) -> Result<T, (String, String)> {
    let mut note = |path: Path<'_>| unknown.push(format!("{field}{}", written(&path)));
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    serde_ignored::deserialize(tracked, &mut note).map_err(|error: serde_json::Error| {
        match track.path().to_string().as_str() {
            "." => (field.to_owned(), error.to_string()),
            path => (format!("{field}.{path}"), error.to_string()),
        }
    })
}

/// A path as it is written elsewhere: `.weights.services[0].name`.
fn written(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", written(parent)),
        Path::Map { parent, key } => format!("{}.{key}", written(parent)),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => written(parent),
    }
}
