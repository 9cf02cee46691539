//! `etm plan` over a directory of manifests: the real program, and nothing applied.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Services cart and cart-v2 with a Pod each, and two Pods that call.
const SHOP: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.10, selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart-v2, namespace: shop}
spec: {clusterIP: 10.96.0.11, selector: {app: cart-v2}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, uid: a, labels: {app: cart}}
status: {podIPs: [{ip: 10.244.0.10}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-v2-0, namespace: shop, uid: b, labels: {app: cart-v2}}
status: {podIPs: [{ip: 10.244.0.11}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, uid: c, labels: {app: web, track: canary}}
status: {podIPs: [{ip: 10.244.0.12}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: guest, namespace: guests, uid: d}
status: {podIPs: [{ip: 10.244.0.13}], conditions: [{type: Ready, status: "True"}]}
"#;

fn route(rules: &str) -> String {
    format!(
        "apiVersion: etm.dev/v1alpha1\nkind: TrafficRoute\nmetadata: {{name: canary, namespace: \
         shop}}\nspec:\n  targetRef: {{name: cart}}\n  rules: {rules}\n"
    )
}

fn shop() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), SHOP).unwrap();
    directory
}

fn etm(directory: &Path, text: &str, words: &[&str]) -> Output {
    let file = directory.join("plan.txt");
    fs::write(&file, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_etm"))
        .args(["plan", "--node", "here", "-f"])
        .arg(&file)
        .arg("--manifests")
        .arg(directory)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn planned(directory: &Path, text: &str) -> Value {
    let output = etm(directory, text, &["-o", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the callers of a class get: its part in percent, by Service.
fn shares(gets: &Value) -> Vec<(String, f64)> {
    let shares = gets["shares"].as_array().unwrap().iter();
    let share = |share: &Value| {
        (share["to"].as_str().unwrap().to_owned(), share["percent"].as_f64().unwrap())
    };
    shares.map(share).collect()
}

fn share(to: &str, percent: f64) -> (String, f64) {
    (to.to_owned(), percent)
}

const CANARY: &str = r"
    - from: [{podSelector: {matchLabels: {track: canary}}}]
      to: [{service: {name: cart-v2}}]
    - from: [{namespaces: [guests]}]
      deny: true
    - to: [{service: {name: cart}, weight: 95}, {service: {name: cart-v2}, weight: 5}]
";

#[test]
fn shares_and_callers_that_would_change_are_told() {
    let directory = shop();
    let report = planned(directory.path(), &route(CANARY));
    assert_eq!((&report["node"], &report["objects"]), (&"here".into(), &1.into()));
    assert_eq!(report["problems"], Value::Array(Vec::new()));
    let [port] = report["services"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
    assert_eq!(port["service"], "shop/cart:http/TCP");
    assert_eq!(port["families"][0], "IPv4");
    let classes = port["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 3, "{port:#}");
    for class in classes {
        assert_eq!(shares(&class["now"]), [share("shop/cart", 100.0)]);
        assert_eq!(class["changes"], true);
    }
    let others = &classes[0];
    assert_eq!(others["callers"].as_array().unwrap().len(), 0);
    assert_eq!(shares(&others["then"]), [share("shop/cart", 95.0), share("shop/cart-v2", 5.0)]);
    let of = |name: &str| {
        let mut found =
            classes.iter().filter(|class| class["callers"] == serde_json::json!([name]));
        found.next().unwrap()
    };
    assert_eq!(shares(&of("shop/web")["then"]), [share("shop/cart-v2", 100.0)]);
    assert_eq!(of("shop/web")["then"]["rule"], "TrafficRoute shop/canary spec.rules[0]");
    assert_eq!(of("guests/guest")["then"]["denied"], true);
}

#[test]
fn what_is_there_already_changes_nothing() {
    let directory = shop();
    fs::write(directory.path().join("route.yaml"), route(CANARY)).unwrap();
    let report = planned(directory.path(), &route(CANARY));
    assert_eq!(report["services"], Value::Array(Vec::new()));
    assert_eq!(report["frontends"], 0);
    // Another weight is a change of one class alone.
    let report = planned(
        directory.path(),
        &route(&CANARY.replace("95", "50").replace("weight: 5}", "weight: 50}")),
    );
    let classes = report["services"][0]["classes"].as_array().unwrap();
    let changes: Vec<_> = classes.iter().map(|class| class["changes"].as_bool().unwrap()).collect();
    assert_eq!(changes, [true, false, false]);
    assert_eq!(shares(&classes[0]["now"]), [share("shop/cart", 95.0), share("shop/cart-v2", 5.0)]);
    assert_eq!(
        shares(&classes[0]["then"]),
        [share("shop/cart", 50.0), share("shop/cart-v2", 50.0)]
    );
    // Nothing of this was applied.
    assert_eq!(fs::read_to_string(directory.path().join("route.yaml")).unwrap(), route(CANARY));
}

#[test]
fn a_plan_is_told_in_lines() {
    let directory = shop();
    let output = etm(directory.path(), &route(CANARY), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = "\
shop/cart:http/TCP (IPv4)
  everyone else
    now   100% shop/cart (1 endpoint)
    then  95% shop/cart (1 endpoint), 5% shop/cart-v2 (1 endpoint), by TrafficRoute shop/canary spec.rules[2]
  guests/guest
    now   100% shop/cart (1 endpoint)
    then  denied, by TrafficRoute shop/canary spec.rules[1]
  shop/web
    now   100% shop/cart (1 endpoint)
    then  100% shop/cart-v2 (1 endpoint), by TrafficRoute shop/canary spec.rules[0]
";
    assert_eq!(text, expected);
}

#[test]
fn what_could_not_be_honoured_is_told() {
    let directory = shop();
    let gone = "\n    - to: [{service: {name: cart-v9}}]";
    let report = planned(directory.path(), &route(gone));
    assert_eq!(report["services"], Value::Array(Vec::new()), "traffic stays as it was");
    let problem = &report["problems"][0];
    assert_eq!(problem["object"], "TrafficRoute shop/canary");
    assert_eq!(problem["reason"], "there is no Service shop/cart-v9");
    fs::write(directory.path().join("route.yaml"), route(gone)).unwrap();
    let report = planned(directory.path(), &route(CANARY));
    assert_eq!(report["mended"][0]["reason"], "there is no Service shop/cart-v9");
    assert_eq!(report["problems"], Value::Array(Vec::new()));
}

#[test]
fn a_file_that_cannot_be_used_is_refused() {
    let directory = shop();
    let output = etm(directory.path(), "apiVersion: v1\nkind: [", &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("plan.txt:"), "{output:?}");
    let output = etm(directory.path(), &route("\n    - {}"), &[]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("there is nothing to plan"), "{told}");
    assert!(
        told.contains("spec.rules[0] has neither deny: true nor to")
            || told.contains("spec.rules[0]: has neither deny: true nor to"),
        "{told}"
    );
}
