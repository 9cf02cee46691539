//! Selectors of labels, checked as their schema checks them.

use std::sync::Arc;

use etm_api as api;
use etm_model::{LabelSelector, Operator, Requirement};

use super::report::Report;

/// Entries of `matchLabels` and of `matchExpressions`, and values of one of these: at most.
const REQUIREMENTS: usize = 16;
const VALUES: usize = 32;

/// Checks a selector; tells of all that is wrong, with what it means there.
pub(super) fn selector(
    given: &api::LabelSelector,
    field: &str,
    hint: fn(&str) -> String,
    report: &mut Report,
) -> LabelSelector {
    let api::LabelSelector { match_labels, match_expressions } = given;
    if match_labels.is_none() && match_expressions.is_none() {
        let way = "add one of them";
        report.add(field, "has neither matchLabels nor matchExpressions", hint(way));
    }
    let sizes = [
        ("matchLabels", match_labels.as_ref().map(|labels| labels.len())),
        ("matchExpressions", match_expressions.as_ref().map(Vec::len)),
    ];
    for (name, size) in sizes {
        if let Some(size) = size
            && !(1..=REQUIREMENTS).contains(&size)
        {
            let reason = format!("has {size} entries, which is not within 1 and {REQUIREMENTS}");
            report.add(format!("{field}.{name}"), reason, hint("correct it, or take it away"));
        }
    }
    let labels = match_labels.iter().flatten().map(|(key, value)| Requirement {
        key: key.as_str().into(),
        operator: Operator::In(vec![value.as_str().into()]),
    });
    let mut requirements: Vec<_> = labels.collect();
    for (i, given) in match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{i}]");
        if given.key.is_empty() {
            report.add(format!("{field}.key"), "is empty", hint("name a label"));
        }
        let operator = operator(given, &format!("{field}.values"), hint, report);
        requirements.push(Requirement { key: given.key.as_str().into(), operator });
    }
    LabelSelector { requirements }
}

fn operator(
    given: &api::LabelExpression,
    field: &str,
    hint: fn(&str) -> String,
    report: &mut Report,
) -> Operator {
    let values = given.values.as_ref();
    let mut listed = || -> Vec<Arc<str>> {
        let count = values.map_or(0, Vec::len);
        if !(1..=VALUES).contains(&count) {
            let reason = format!("has {count} values, which is not within 1 and {VALUES}");
            report.add(field, reason, hint("list the values of the label"));
        }
        values.into_iter().flatten().map(|value| value.as_str().into()).collect()
    };
    match given.operator {
        api::LabelOperator::In => Operator::In(listed()),
        api::LabelOperator::NotIn => Operator::NotIn(listed()),
        api::LabelOperator::Exists | api::LabelOperator::DoesNotExist => {
            if values.is_some() {
                let reason = "are given, but the operator has none";
                report.add(field, reason, hint("take them away, or write In or NotIn"));
            }
            match given.operator {
                api::LabelOperator::Exists => Operator::Exists,
                _ => Operator::DoesNotExist,
            }
        }
    }
}
