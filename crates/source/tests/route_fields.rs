//! Fields of a TrafficRoute, each named after the field, and what is told of bad ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{
    Action, CallerSelector, CallerShare, DestinationRef, LabelSelector, ObjectName, Operator,
    Problem, Requirement, Route, RouteKind, RoutePort, Rule,
};
use etm_source::convert;

fn convert_spec(spec: &str) -> (Option<Route>, Vec<Problem>) {
    let text = format!(
        "metadata: {{name: split, namespace: shop, creationTimestamp: '2020-01-01T00:00:00Z'}}\n{spec}"
    );
    let converted = convert::traffic_route(&serde_saphyr::from_str(&text).unwrap());
    (converted.object, converted.problems)
}

/// The only rule of a route of Service cart.
fn rule(rule: &str) -> Rule {
    let (route, problems) =
        convert_spec(&format!("spec: {{targetRef: {{name: cart}}, rules: [{{{rule}}}]}}"));
    assert_eq!(problems, [], "{rule}");
    route.unwrap().rules.remove(0)
}

/// The problems of a route that does not count for them: field and reason.
fn refused(spec: &str) -> Vec<String> {
    let (route, problems) = convert_spec(spec);
    assert_eq!(route, None, "{spec}");
    for problem in &problems {
        assert_eq!(problem.object, "TrafficRoute shop/split");
        let keep = "; until then the route counts as it was before, and a new one not at all";
        assert!(problem.hint.ends_with(keep), "{}", problem.hint);
    }
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.reason)).collect()
}

/// What is told of one rule.
fn flawed(rule: &str) -> Vec<String> {
    let told = refused(&format!("spec: {{targetRef: {{name: cart}}, rules: [{{{rule}}}]}}"));
    told.into_iter().map(|told| told.replace("spec.rules[0]", "")).collect()
}

fn from(from: &str) -> CallerSelector {
    rule(&format!("from: [{{{from}}}], deny: true")).from.remove(0)
}

fn service(name: &str, namespace: &str, port: RoutePort) -> DestinationRef {
    DestinationRef::Service { name: ObjectName::new(namespace, name), port }
}

fn labels(key: &str, operator: Operator) -> LabelSelector {
    LabelSelector { requirements: vec![Requirement { key: key.into(), operator }] }
}

#[test]
fn target_ref() {
    let route = |target: &str| {
        let (route, problems) =
            convert_spec(&format!("spec: {{targetRef: {target}, rules: [{{deny: true}}]}}"));
        assert_eq!(problems, []);
        route.unwrap()
    };
    let whole = route("{name: cart}");
    assert_eq!(whole.target, ObjectName::new("shop", "cart"));
    assert_eq!((whole.owner.kind, whole.created), (RouteKind::TrafficRoute, Some(1_577_836_800)));
    assert_eq!((&whole.port, whole.protocol, &whole.consumers), (&RoutePort::Every, None, &None));
    assert_eq!(route("{name: cart, port: http}").port, RoutePort::Name("http".into()));
    assert_eq!(route("{name: cart, port: 80}").port, RoutePort::Number(80));
    let told =
        |target: &str| refused(&format!("spec: {{targetRef: {target}, rules: [{{deny: true}}]}}"));
    assert_eq!(told("{name: ''}"), ["spec.targetRef.name: is empty"]);
    assert_eq!(told("{name: cart, port: ''}"), ["spec.targetRef.port: is empty"]);
    let range = "spec.targetRef.port: 70000 is not a port, which is 1 to 65535";
    assert_eq!(told("{name: cart, port: 70000}"), [range]);
    assert_eq!(refused(""), ["spec: is missing"]);
    assert_eq!(refused("spec: {targetRef: {name: cart}}"), ["spec: missing field `rules`"]);
    assert_eq!(refused("spec: {targetRef: {name: cart}, rules: []}"), ["spec.rules: is empty"]);
    let many = vec!["{deny: true}"; 65].join(", ");
    assert_eq!(
        refused(&format!("spec: {{targetRef: {{name: cart}}, rules: [{many}]}}")),
        ["spec.rules: has 65 rules, more than 64"]
    );
}

#[test]
fn unknown_fields() {
    assert_eq!(flawed("deny: true, too: []"), [".too: is not known"]);
    let nested = "from: [{podSelectors: {}, nodes: [a]}], deny: true";
    assert_eq!(flawed(nested), [".from[0].podSelectors: is not known"]);
}

#[test]
fn callers() {
    assert_eq!(rule("deny: true").from, []);
    let said = from("namespaces: [shop, lab], serviceAccounts: [cart], nodes: [one]");
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.into()).collect::<Vec<_>>());
    assert_eq!(said.namespaces, texts(&["shop", "lab"]));
    assert_eq!(said.service_accounts, texts(&["cart"]));
    assert_eq!((said.nodes, said.members_of), (texts(&["one"]), None));
    let said = from(
        "namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchExpressions: \
                     [{key: track, operator: NotIn, values: [canary]}]}",
    );
    assert_eq!(said.namespace_labels, Some(labels("team", Operator::In(vec!["a".into()]))));
    assert_eq!(said.pod_labels, Some(labels("track", Operator::NotIn(vec!["canary".into()]))));
    let said = from("addressBlocks: [10.1.2.3/8, 'fd00::/8']");
    let blocks: Vec<_> = said.blocks.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(blocks, ["10.0.0.0/8", "fd00::/8"]);

    let told = |from: &str| flawed(&format!("from: {from}, deny: true"));
    assert_eq!(told("[]"), [".from: is empty"]);
    assert_eq!(told("[{}]"), [".from[0]: says nothing of callers"]);
    let none = ".from[0].namespaces: has 0 entries, which is not within 1 and 64";
    assert_eq!(told("[{namespaces: []}]"), [none]);
    assert_eq!(told("[{nodes: ['']}]"), [".from[0].nodes[0]: is empty"]);
    let block = ".from[0].addressBlocks[0]: `10.0.0.0` is not a block of addresses";
    assert_eq!(told("[{addressBlocks: [10.0.0.0]}]"), [block]);
    let many = vec!["{nodes: [a]}"; 17].join(", ");
    assert_eq!(told(&format!("[{many}]")), [".from: has 17 entries, more than 16"]);
}

#[test]
fn selectors() {
    let expression = |operator: &str| {
        let selector =
            format!("podSelector: {{matchExpressions: [{{key: a, operator: {operator}}}]}}");
        from(&selector).pod_labels.unwrap()
    };
    assert_eq!(expression("Exists"), labels("a", Operator::Exists));
    assert_eq!(expression("DoesNotExist"), labels("a", Operator::DoesNotExist));
    let told = |selector: &str| {
        let told = flawed(&format!("from: [{{podSelector: {selector}}}], deny: true"));
        told.into_iter().map(|told| told.replace(".from[0].podSelector", "")).collect::<Vec<_>>()
    };
    assert_eq!(told("{}"), [": has neither matchLabels nor matchExpressions"]);
    assert_eq!(
        told("{matchLabels: {}}"),
        [".matchLabels: has 0 entries, which is not within 1 and 16"]
    );
    let values = ".matchExpressions[0].values";
    assert_eq!(
        told("{matchExpressions: [{key: a, operator: In}]}"),
        [format!("{values}: has 0 values, which is not within 1 and 32")]
    );
    assert_eq!(
        told("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"),
        [format!("{values}: are given, but the operator has none")]
    );
    let told = told("{matchExpressions: [{key: a, operator: Like}]}");
    assert!(
        told[0].starts_with(".matchExpressions[0].operator: unknown variant `Like`"),
        "{told:?}"
    );
}

#[test]
fn percent() {
    let parts =
        |percent: &str| rule(&format!("percent: {percent}, deny: true")).share.unwrap().parts;
    for (percent, expected) in
        [("0", 0), ("100", 10_000), ("5", 500), ("0.01", 1), ("0.29", 29), ("33.33", 3_333)]
    {
        assert_eq!(parts(percent), expected, "{percent}");
    }
    assert_eq!(rule("deny: true").share, None);
    for bad in ["-1", "100.01", "0.001", "33.333"] {
        let reason = format!(".percent: {bad} is not a number from 0 to 100 in steps of 0.01");
        assert_eq!(flawed(&format!("percent: {bad}, deny: true")), [reason]);
    }
    let told = flawed("percent: '5%', deny: true");
    assert!(told[0].contains("percent: invalid type: string"), "{told:?}");
}

#[test]
fn salt() {
    let share = |fields: &str| rule(&format!("percent: 5, {fields}deny: true")).share.unwrap();
    let salted = |text: &str| CallerShare { parts: 500, salt: etm_model::hash(text) };
    assert_eq!(share(""), salted("shop/split"));
    assert_eq!(share("salt: spring, "), salted("spring"));
    assert_eq!(flawed("salt: a, deny: true"), [".salt: says which callers percent takes"]);
}

#[test]
fn deny_or_to() {
    assert_eq!(rule("deny: true").action, Action::Deny);
    let to = "to: [{service: {name: v2}}]";
    assert!(matches!(rule(to).action, Action::Forward(_)));
    assert!(matches!(rule(&format!("deny: false, {to}")).action, Action::Forward(_)));
    assert_eq!(flawed(&format!("deny: true, {to}")), [": has both deny and to"]);
    for neither in ["", "deny: false", "name: a"] {
        assert_eq!(flawed(neither), [": has neither deny: true nor to"], "{neither}");
    }
}

#[test]
fn destinations() {
    let to = |to: &str| match rule(&format!("to: [{to}]")).action {
        Action::Forward(destinations) => destinations,
        Action::Deny => panic!("{to} is denied"),
    };
    let two =
        to("{service: {name: v1}, weight: 9}, {service: {name: v2, namespace: lab, port: 8}}");
    assert_eq!((two[0].weight, &*two[0].field), (9, "spec.rules[0].to[0]"));
    assert_eq!(two[0].to, service("v1", "shop", RoutePort::Every));
    assert_eq!((two[1].weight, &*two[1].field), (1, "spec.rules[0].to[1]"));
    assert_eq!(two[1].to, service("v2", "lab", RoutePort::Number(8)));
    let named = to("{service: {name: v1, port: http}}");
    assert_eq!(named[0].to, service("v1", "shop", RoutePort::Name("http".into())));
    let subset = to("{subset: {matchLabels: {version: '2'}}}");
    let of = labels("version", Operator::In(vec!["2".into()]));
    assert_eq!(subset[0].to, DestinationRef::Subset(of));

    let told = |to: &str| flawed(&format!("to: {to}"));
    assert_eq!(told("[]"), [".to: is empty"]);
    assert_eq!(told("[{weight: 1}]"), [".to[0]: has neither service nor subset"]);
    assert_eq!(
        told("[{service: {name: a}, subset: {matchLabels: {a: b}}}]"),
        [".to[0]: has both service and subset"]
    );
    assert_eq!(told("[{service: {name: ''}}]"), [".to[0].service.name: is empty"]);
    for bad in [-1, 1_000_001] {
        assert_eq!(
            told(&format!("[{{service: {{name: a}}, weight: {bad}}}]")),
            [format!(".to[0].weight: {bad} is not within 0 and 1000000")]
        );
    }
    assert_eq!(
        told("[{service: {name: a}, weight: 0}, {service: {name: b}, weight: 0}]"),
        [".to: has weights that sum to 0, so it leads nowhere"]
    );
    let many = vec!["{service: {name: a}}"; 17].join(", ");
    assert_eq!(told(&format!("[{many}]")), [".to: has 17 destinations, more than 16"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let spec = "spec: {targetRef: {name: cart}, rules: [{}, {percent: 101, deny: true}]}";
    assert_eq!(
        refused(spec),
        [
            "spec.rules[0]: has neither deny: true nor to",
            "spec.rules[1].percent: 101 is not a number from 0 to 100 in steps of 0.01",
        ]
    );
}
