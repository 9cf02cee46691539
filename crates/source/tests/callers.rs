//! Pods of this node, as callers: each field that is read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use etm_model::{Pod, QosClass};
use etm_source::convert::caller;
use serde_json::{Value, from_value, json};

fn converted(object: Value) -> Pod {
    let converted = caller(&from_value(object).unwrap());
    assert_eq!(converted.problems, []);
    converted.object.unwrap()
}

#[test]
fn every_field() {
    let pod = converted(json!({
        "metadata": {"namespace": "shop", "name": "web-0", "uid": "u", "labels": {"b": "2", "a": "1"}},
        "spec": {"serviceAccountName": "web", "hostNetwork": true, "containers": []},
        "status": {
            "phase": "Running", "qosClass": "Burstable",
            "podIPs": [{"ip": "10.244.0.2"}, {"ip": "fd00::2"}],
        },
    }));
    assert_eq!((&*pod.name.to_string(), &*pod.uid), ("shop/web-0", "u"));
    assert_eq!(pod.labels, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!((&*pod.service_account, pod.host_network), ("web", true));
    assert_eq!(pod.addresses.len(), 2);
    assert_eq!(pod.qos, QosClass::Burstable);
}

#[test]
fn one_that_has_just_been_made() {
    let pod = converted(json!({"metadata": {"name": "a", "uid": "u"}}));
    assert_eq!((pod.addresses.len(), pod.host_network), (0, false));
    assert_eq!(pod.qos, QosClass::BestEffort);
}

#[test]
fn a_static_pod_has_the_uid_that_the_kubelet_knows() {
    let pod = converted(json!({
        "metadata": {
            "name": "a", "uid": "of-the-mirror",
            "annotations": {"kubernetes.io/config.mirror": "of-the-kubelet"},
        },
    }));
    assert_eq!(&*pod.uid, "of-the-kubelet");
}

#[test]
fn one_that_has_finished_calls_nobody() {
    for phase in ["Succeeded", "Failed"] {
        let object = json!({"metadata": {"name": "a"}, "status": {"phase": phase}});
        assert_eq!(caller(&from_value(object).unwrap()).object, None);
    }
}

#[test]
fn a_bad_address_is_told() {
    let object = json!({"metadata": {"name": "a"}, "status": {"podIPs": [{"ip": "127.0.0.1"}]}});
    let [problem] = caller(&from_value(object).unwrap()).problems.try_into().unwrap();
    assert_eq!(problem.field, "status.podIPs[0].ip");
}
