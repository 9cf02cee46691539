use std::sync::Arc;

use etm_model::Problem;
use serde_saphyr::{Error, SnippetMode, Spanned};

use super::{
    document::{Document, Foreign},
    object::{Declared, Object, ObjectKey},
};

const LAST_GOOD: &str = "the objects that this file had stay as they were until it is mended";

/// What a file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// Its usable objects, in their order.
    pub(crate) objects: Vec<Declared>,
    /// What is wrong with the others.
    pub(crate) problems: Vec<Problem>,
    /// Those of the others that count as this file had them before.
    pub(crate) stay: Vec<ObjectKey>,
}

/// Reads the text of a file: YAML, or JSON, which is YAML too. `proxy` is the name of this proxy.
///
/// # Errors
///
/// A file that is not UTF-8, not YAML, or has a field of a wrong type counts as broken as a whole:
/// a half-read file could take Services away.
pub(crate) fn parse(file: &str, text: &[u8], proxy: Option<&str>) -> Result<File, Problem> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let line = 1 + text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        broken(format!("{file}:{line}"), "is not UTF-8".into())
    })?;
    let documents = serde_saphyr::from_multiple_with_options(text, options());
    let documents: Vec<Spanned<Document>> = documents.map_err(|error| syntax(file, &error))?;
    let mut parsed = File::default();
    for document in documents {
        add(file, document, proxy, &mut parsed);
    }
    Ok(parsed)
}

/// A file that cannot be used at all.
pub(crate) fn broken(object: String, reason: String) -> Problem {
    Problem { object, field: String::new(), reason, hint: LAST_GOOD.into() }
}

/// The length of a text bounds its nodes; only what aliases multiply needs a bound of its own.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        emit_comments: false,
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
    }
}

fn syntax(file: &str, error: &Error) -> Problem {
    let options = serde_saphyr::render_options! { snippets: SnippetMode::Off };
    let reason = error.without_snippet().render_with_options(options);
    let Some(location) = error.location() else { return broken(file.to_owned(), reason) };
    let (line, column) = (location.line(), location.column());
    // The object says it already.
    let suffix = format!(" at line {line}, column {column}");
    let reason = reason.strip_suffix(&suffix).unwrap_or(&reason);
    broken(format!("{file}:{line}:{column}"), reason.to_owned())
}

fn add(file: &str, document: Spanned<Document>, proxy: Option<&str>, parsed: &mut File) {
    let line = document.defined.line();
    let place = format!("{file}:{line}");
    match document.value {
        Document::List(items) => {
            for item in items {
                add(file, item, proxy, parsed);
            }
        }
        Document::Object(kind, converted) => {
            let converted = converted.for_proxy(proxy);
            let mut problems = converted.problems;
            for problem in &mut problems {
                problem.object = format!("{} ({place})", problem.object);
            }
            match converted.object {
                None => {
                    parsed.problems.append(&mut problems);
                    let key = |name| ObjectKey { kind, name };
                    parsed.stay.extend(converted.stays.map(key));
                }
                Some(object) => parsed.objects.push(Declared {
                    line,
                    created: converted.created,
                    object: Arc::<Object>::new(object),
                    problems: problems.into(),
                }),
            }
        }
        Document::Foreign(foreign) => parsed.problems.push(not_read(&place, &foreign)),
        Document::Kindless(_) => parsed.problems.push(Problem {
            object: place,
            field: "kind".into(),
            reason: "is missing".into(),
            hint: "say which kind of object it is; it is left out until then".into(),
        }),
    }
}

fn not_read(place: &str, Foreign { api_version, kind, name }: &Foreign) -> Problem {
    let version = match kind.as_str() {
        "Service" | "Pod" | "Node" | "Namespace" => Some("v1"),
        "EndpointSlice" => Some("discovery.k8s.io/v1"),
        "TrafficPolicy" | "TrafficRoute" | "Release" | "NodeHealth" => Some("etm.dev/v1alpha1"),
        "TCPRoute" | "UDPRoute" | "GRPCRoute" | "HTTPRoute" | "ReferenceGrant" => {
            Some("gateway.networking.k8s.io/v1")
        }
        _ => None,
    };
    let name = name.as_deref().unwrap_or("without a name");
    let (field, reason, hint) = match version {
        Some(version) => (
            "apiVersion",
            format!("`{api_version}` is not the one that is read"),
            format!("write it as {version}; it is left out until then"),
        ),
        None => (
            "kind",
            format!("`{kind}` of `{api_version}` is not read here"),
            "Service, EndpointSlice, Pod, Node, Namespace, TrafficPolicy, TrafficRoute, Release, \
             NodeHealth and the Gateway API's TCPRoute, UDPRoute, GRPCRoute, HTTPRoute and ReferenceGrant are; \
             keep others in another directory, or disregard this: the rest of the file is in use"
                .into(),
        ),
    };
    Problem { object: format!("{kind} {name} ({place})"), field: field.into(), reason, hint }
}
