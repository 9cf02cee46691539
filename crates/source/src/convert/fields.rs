//! Fields of an object that nobody has checked.

use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

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
