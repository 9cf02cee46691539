//! Fields of a TrafficPolicy, each named after the field, and what is told of bad ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{Algorithm, HashField, HashFields, Policy, Problem};
use etm_source::convert;

fn convert_spec(spec: &str) -> (Option<Policy>, Vec<Problem>) {
    let text = format!(
        "metadata: {{name: calm, namespace: shop, creationTimestamp: '2020-01-01T00:00:00Z'}}\n{spec}"
    );
    let converted = convert::traffic_policy(&serde_saphyr::from_str(&text).unwrap());
    (converted.object, converted.problems)
}

/// A policy of Service cart with further fields.
fn policy(balancing: &str) -> Policy {
    let (policy, problems) = convert_spec(&format!(
        "spec: {{targetRef: {{name: cart}}, loadBalancing: {{{balancing}}}}}"
    ));
    assert_eq!(problems, []);
    policy.unwrap()
}

/// The problems of a policy that does not count for them: field and reason.
fn refused(spec: &str) -> Vec<String> {
    let (policy, problems) = convert_spec(spec);
    assert_eq!(policy, None, "{spec}");
    for problem in &problems {
        assert_eq!(problem.object, "TrafficPolicy shop/calm");
        let keep = "; until then the policy counts as it was before, and a new one not at all";
        assert!(problem.hint.ends_with(keep), "{}", problem.hint);
    }
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.reason)).collect()
}

/// What is told of one field of `loadBalancing`.
fn flawed(balancing: &str) -> Vec<String> {
    refused(&format!("spec: {{targetRef: {{name: cart}}, loadBalancing: {{{balancing}}}}}"))
}

#[test]
fn target_ref() {
    let (policy, problems) = convert_spec("spec: {targetRef: {name: cart, port: http}}");
    let policy = policy.unwrap();
    assert_eq!(problems, []);
    assert_eq!((&*policy.service, policy.port.as_deref()), ("cart", Some("http")));
    assert_eq!(policy.created, Some(1_577_836_800));
    assert_eq!(policy.load_balancing, etm_model::LoadBalancing::default());
    assert_eq!(refused(""), ["spec: is missing"]);
    assert_eq!(refused("spec: {}"), ["spec: missing field `targetRef`"]);
    assert_eq!(refused("spec: {targetRef: {}}"), ["spec.targetRef: missing field `name`"]);
    assert_eq!(refused("spec: {targetRef: {name: ''}}"), ["spec.targetRef.name: is empty"]);
    assert_eq!(
        refused("spec: {targetRef: {name: cart, port: ''}}"),
        ["spec.targetRef.port: is empty"]
    );
}

#[test]
fn unknown_fields() {
    let spec = "spec: {targetRef: {name: cart, kind: Service}, loadBalancing: {weights: \
                {services: [{name: v1, weight: 1, wait: 2}]}}, helth: {}}";
    assert_eq!(
        refused(spec),
        [
            "spec.helth: is not known",
            "spec.loadBalancing.weights.services[0].wait: is not known",
            "spec.targetRef.kind: is not known",
        ]
    );
}

#[test]
fn algorithm() {
    assert_eq!(policy("algorithm: Random").load_balancing.algorithm, Algorithm::Random);
    let least = policy("algorithm: LeastConnections").load_balancing.algorithm;
    assert_eq!(least, Algorithm::LeastConnections);
    let hash = policy("algorithm: ConsistentHash").load_balancing.algorithm;
    assert_eq!(hash, Algorithm::ConsistentHash(HashFields::default()));
    let told = "spec.loadBalancing.algorithm: unknown variant `random`, expected one of `Random`, \
                `LeastConnections`, `ConsistentHash`";
    assert_eq!(flawed("algorithm: random"), [told]);
}

#[test]
fn consistent_hash() {
    let hash = |fields: &str| {
        policy(&format!("algorithm: ConsistentHash, consistentHash: {fields}"))
            .load_balancing
            .algorithm
    };
    assert_eq!(hash("{}"), Algorithm::ConsistentHash(HashFields::default()));
    let fields = HashFields::new([HashField::Protocol, HashField::CallerAddress]).unwrap();
    assert_eq!(hash("{fields: [protocol, callerAddress]}"), Algorithm::ConsistentHash(fields));
    let all = "[callerPod, callerAddress, callerNamespace, callerPort, servicePort, protocol]";
    let Algorithm::ConsistentHash(fields) = hash(&format!("{{fields: {all}}}")) else { panic!() };
    assert!(fields.iter().eq(HashField::ALL));

    let at = "spec.loadBalancing.consistentHash";
    let needs = format!("{at}: needs algorithm: ConsistentHash");
    for algorithm in ["", "algorithm: LeastConnections, "] {
        assert_eq!(flawed(&format!("{algorithm}consistentHash: {{}}")), [&*needs]);
    }
    let hashed = |fields: &str| {
        flawed(&format!("algorithm: ConsistentHash, consistentHash: {{fields: {fields}}}"))
    };
    assert_eq!(hashed("[]"), [format!("{at}.fields: is empty")]);
    assert_eq!(hashed("[callerPod, callerPod]"), [format!("{at}.fields[1]: is listed before")]);
    let told = hashed("[callerPod, color]");
    assert!(
        told[0].starts_with(&format!(
            "{at}.fields[1]: unknown variant `color`, expected one of `callerPod`"
        )),
        "{told:?}"
    );
}

#[test]
fn weights() {
    let given = policy("weights: {services: [{name: v1, weight: 1}, {name: v2, weight: 1000}]}");
    let weights = given.load_balancing.service_weights.iter();
    let weights: Vec<_> = weights.map(|(name, weight)| (&**name, weight.get())).collect();
    assert_eq!(weights, [("v1", 1), ("v2", 1000)]);
    assert!(!given.load_balancing.pod_weights);
    assert!(policy("weights: {podAnnotation: true}").load_balancing.pod_weights);

    let at = "spec.loadBalancing.weights.services";
    let services = |list: &str| flawed(&format!("weights: {{services: [{list}]}}"));
    for weight in [0, -1, 1001] {
        assert_eq!(
            services(&format!("{{name: v1, weight: {weight}}}")),
            [format!("{at}[0].weight: {weight} is not within 1 and 1000")]
        );
    }
    let (_, problems) = convert_spec(
        "spec: {targetRef: {name: cart}, loadBalancing: {weights: {services: [{name: v1, weight: 0}]}}}",
    );
    assert!(problems[0].hint.contains("to take a Pod out of service, make it not ready"));
    assert_eq!(services("{name: v1}"), [format!("{at}[0]: missing field `weight`")]);
    let heavy = services("{name: v1, weight: heavy}");
    assert!(heavy[0].starts_with(&format!("{at}[0].weight: invalid type")), "{heavy:?}");
    assert_eq!(services("{name: '', weight: 1}"), [format!("{at}[0].name: is empty")]);
    assert_eq!(
        services("{name: v1, weight: 1}, {name: v1, weight: 2}"),
        [format!("{at}[1].name: `v1` is listed before")]
    );
    let many: Vec<_> = (0..17).map(|i| format!("{{name: v{i}, weight: 1}}")).collect();
    assert_eq!(services(&many.join(", ")), [format!("{at}: has 17 Services, more than 16")]);
}

#[test]
fn pod_annotation_value() {
    let pod = |annotations: &str| {
        let text = format!("metadata: {{name: cart-1, namespace: shop{annotations}}}");
        let converted = convert::pod_weight(&serde_saphyr::from_str(&text).unwrap());
        (converted.object.unwrap().1.map(etm_model::Weight::get), converted.problems)
    };
    let with = |value: &str| pod(&format!(", annotations: {{etm.dev/weight: '{value}'}}"));
    assert_eq!(pod(""), (None, vec![]));
    assert_eq!(with("1"), (Some(1), vec![]));
    assert_eq!(with("1000"), (Some(1000), vec![]));
    for bad in ["0", "-1", "1001", "", "heavy", "1.5"] {
        let (weight, problems) = with(bad);
        assert_eq!((weight, problems.len()), (Some(1), 1), "{bad}");
        assert_eq!(problems[0].object, "Pod shop/cart-1");
        assert_eq!(problems[0].field, "metadata.annotations[etm.dev/weight]");
        assert_eq!(problems[0].reason, format!("`{bad}` is not a number from 1 to 1000"));
        assert!(problems[0].hint.contains("counts as 1"), "{}", problems[0].hint);
    }
}
