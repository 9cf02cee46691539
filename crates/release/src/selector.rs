use std::{collections::BTreeMap, sync::Arc};

use etm_api::{LabelOperator, RouteCallers};
use etm_model::{CallerSelector, LabelSelector, Operator, Requirement};

/// Whom a manifest selects, as routes have it. A block that cannot be read selects nobody.
#[must_use]
pub fn selector(callers: &RouteCallers) -> CallerSelector {
    let names = |names: &Option<Vec<String>>| {
        names.as_ref().map(|names| names.iter().map(|name| name.as_str().into()).collect())
    };
    let blocks = callers.address_blocks.as_ref();
    CallerSelector {
        namespaces: names(&callers.namespaces),
        namespace_labels: callers.namespace_selector.as_ref().map(labels),
        pod_labels: callers.pod_selector.as_ref().map(labels),
        service_accounts: names(&callers.service_accounts),
        members_of: None,
        nodes: names(&callers.nodes),
        blocks: blocks.map(|blocks| blocks.iter().filter_map(|block| block.parse().ok()).collect()),
    }
}

/// Labels that must all be there.
pub(crate) fn all_of(labels: &BTreeMap<String, String>) -> LabelSelector {
    let requirement = |(key, value): (&String, &String)| Requirement {
        key: key.as_str().into(),
        operator: Operator::In(vec![value.as_str().into()]),
    };
    LabelSelector { requirements: labels.iter().map(requirement).collect() }
}

fn labels(given: &etm_api::LabelSelector) -> LabelSelector {
    let mut selector = given.match_labels.as_ref().map(all_of).unwrap_or_default();
    for expression in given.match_expressions.iter().flatten() {
        let values = || -> Vec<Arc<str>> {
            let values = expression.values.iter().flatten();
            values.map(|value| value.as_str().into()).collect()
        };
        selector.requirements.push(Requirement {
            key: expression.key.as_str().into(),
            operator: match expression.operator {
                LabelOperator::In => Operator::In(values()),
                LabelOperator::NotIn => Operator::NotIn(values()),
                LabelOperator::Exists => Operator::Exists,
                LabelOperator::DoesNotExist => Operator::DoesNotExist,
            },
        });
    }
    selector
}
