//! Rules of a schema in the Common Expression Language, for types whose defaults are those of their
//! [`Default`], which kube's own derive does not take.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1;

pub(crate) type ValidationRule = v1::ValidationRule;

/// What must hold of a value, and what is told where it does not.
pub(crate) fn rule(rule: &str, message: &str) -> ValidationRule {
    ValidationRule {
        rule: rule.to_owned(),
        message: Some(message.to_owned()),
        ..ValidationRule::default()
    }
}

/// The same, told of a field of the value: `.timeout`.
pub(crate) fn rule_at(field: &str, text: &str, message: &str) -> ValidationRule {
    ValidationRule { field_path: Some(field.to_owned()), ..rule(text, message) }
}
