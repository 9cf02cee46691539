use std::{collections::BTreeMap, sync::Arc};

use etm_model::{Change, Problem, Snapshot};
use proptest::prelude::*;

use super::{Index, Reading};
use crate::manifest::parse;

/// An index with the Snapshot that its changes make.
struct Followed {
    index: Index,
    snapshot: Snapshot,
}

impl Followed {
    fn new() -> Self {
        let mut followed =
            Self { index: Index::new("a", Vec::new()), snapshot: Snapshot::default() };
        followed.files(&[]);
        followed
    }

    /// Takes files in; no text means that the file is gone.
    fn files(&mut self, files: &[(&str, Option<&str>)]) -> Vec<Change> {
        let readings = files.iter().map(|(name, text)| {
            let reading = text.map_or(Reading::Gone, |text| {
                parse(name, text.as_bytes(), None).map_or_else(Reading::Broken, Reading::Read)
            });
            (Arc::from(*name), reading)
        });
        let changes = self.index.apply(readings.collect());
        for change in &changes {
            self.snapshot.change(change.clone());
        }
        changes
    }

    fn problems(&self) -> Vec<Problem> {
        self.index.problems()
    }
}

fn service(name: &str, port: u16, created: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}{created}}}\nspec: \
         {{clusterIP: 10.96.0.1, selector: {{app: {name}}}, ports: [{{port: {port}}}]}}\n"
    )
}

fn slice(name: &str, service: &str, ip: u8) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, \
         labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\n\
         ports: [{{port: 80}}]\nendpoints: [{{addresses: [10.244.0.{ip}]}}]\n"
    )
}

fn pod(name: &str, app: &str, ip: u8) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}, x: y}}}}\n\
         status: {{podIP: 10.244.1.{ip}, conditions: [{{type: Ready, status: 'True'}}]}}\n"
    )
}

fn policy(name: &str, service: &str, algorithm: &str) -> String {
    format!(
        "---\napiVersion: etm.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: {name}}}\n\
         spec: {{targetRef: {{name: {service}}}, loadBalancing: {{algorithm: {algorithm}}}}}\n"
    )
}

fn node(ip: u8) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: a}}\n\
         status: {{addresses: [{{type: InternalIP, address: 192.0.2.{ip}}}]}}\n"
    )
}

fn port(followed: &Followed) -> Option<u16> {
    followed.snapshot.services.values().next().map(|service| service.ports[0].port)
}

#[test]
fn an_unchanged_object_gives_no_change() {
    let mut followed = Followed::new();
    let both = service("cart", 80, "") + &slice("cart-1", "cart", 1);
    assert_eq!(followed.files(&[("a.yaml", Some(&both))]).len(), 2);
    assert_eq!(followed.files(&[("a.yaml", Some(&format!("# Note\n{both}")))]), []);
    let changed = service("cart", 80, "") + &slice("cart-1", "cart", 2);
    let [Change::SetSlice(_)] = &*followed.files(&[("a.yaml", Some(&changed))]) else {
        panic!("one slice changed")
    };
}

#[test]
fn an_object_that_moves_between_files_stays() {
    let mut followed = Followed::new();
    let text = service("cart", 80, "");
    followed.files(&[("a.yaml", Some(&text))]);
    assert_eq!(followed.files(&[("a.yaml", None), ("b.yaml", Some(&text))]), []);
}

#[test]
fn of_two_the_older_counts_then_the_first_file() {
    let mut followed = Followed::new();
    let old = service("cart", 1, ", creationTimestamp: \"2020-01-01T00:00:00Z\"");
    let young = service("cart", 2, ", creationTimestamp: \"2021-01-01T00:00:00Z\"");
    followed.files(&[("a.yaml", Some(&service("cart", 3, ""))), ("b.yaml", Some(&young))]);
    assert_eq!(port(&followed), Some(2));
    followed.files(&[("c.yaml", Some(&old))]);
    assert_eq!(port(&followed), Some(1));
    let problems = followed.problems();
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0].object, "Service default/cart (a.yaml:2)");
    assert_eq!(problems[0].reason, "is also in c.yaml:2, which has the older creationTimestamp");
    followed.files(&[("c.yaml", None), ("b.yaml", Some(&service("cart", 4, "")))]);
    assert_eq!(port(&followed), Some(3));
    assert!(followed.problems()[0].reason.ends_with("which comes first by file name and line"));
    followed.files(&[("a.yaml", None)]);
    assert_eq!((port(&followed), followed.problems()), (Some(4), vec![]));
}

#[test]
fn a_broken_file_keeps_its_last_good_state() {
    let mut followed = Followed::new();
    followed.files(&[("a.yaml", Some(&service("cart", 80, "")))]);
    assert_eq!(followed.files(&[("a.yaml", Some("kind: ["))]), []);
    assert_eq!(followed.problems().len(), 1);
    followed.files(&[("a.yaml", Some(&service("cart", 81, "")))]);
    assert_eq!((port(&followed), followed.problems()), (Some(81), vec![]));
    followed.files(&[("a.yaml", Some("kind: ["))]);
    followed.files(&[("a.yaml", None)]);
    assert_eq!((port(&followed), followed.problems()), (None, vec![]));
}

#[test]
fn a_file_is_unknown_until_it_was_whole_once() {
    let mut followed = Followed::new();
    let unknown = |followed: &Followed| {
        followed.index.unknown_files().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let good = service("cart", 80, "");
    followed.files(&[("a.yaml", Some("kind: [")), ("b.yaml", Some("kind: [")), ("c.yaml", None)]);
    assert_eq!(unknown(&followed), ["a.yaml", "b.yaml"]);
    followed.files(&[("a.yaml", Some("kind: {"))]);
    assert_eq!(unknown(&followed), ["a.yaml", "b.yaml"]);
    // Under another name it is no better known.
    followed.files(&[("a.yaml", None), ("c.yaml", Some("kind: ["))]);
    assert_eq!(unknown(&followed), ["b.yaml", "c.yaml"]);
    followed.files(&[("b.yaml", Some(&good)), ("c.yaml", None)]);
    assert!(unknown(&followed).is_empty());
    followed.files(&[("b.yaml", Some("kind: ["))]);
    assert!(unknown(&followed).is_empty());
}

#[test]
fn a_slice_that_moves_to_another_service() {
    let mut followed = Followed::new();
    followed.files(&[("a.yaml", Some(&slice("one", "cart", 1)))]);
    let changes = followed.files(&[("a.yaml", Some(&slice("one", "web", 1)))]);
    assert!(matches!(&*changes, [Change::RemoveSlice(..), Change::SetSlice(_)]));
    assert_eq!(followed.snapshot.slices.len(), 1);
}

#[test]
fn a_policy_that_moves_to_another_service() {
    let mut followed = Followed::new();
    followed.files(&[("a.yaml", Some(&policy("calm", "cart", "LeastConnections")))]);
    let text = policy("calm", "web", "LeastConnections");
    let changes = followed.files(&[("a.yaml", Some(&text))]);
    assert!(matches!(&*changes, [Change::RemovePolicy(..), Change::SetPolicy(_)]));
    assert_eq!(followed.snapshot.policies.len(), 1);
    assert_eq!(followed.files(&[("a.yaml", None), ("b.yaml", Some(&text))]), []);
}

#[test]
fn a_policy_that_turns_bad_counts_as_it_was() {
    let mut followed = Followed::new();
    let good = policy("calm", "web", "LeastConnections");
    let bad = policy("calm", "web", "Fastest");
    followed.files(&[("a.yaml", Some(&bad))]);
    assert_eq!((followed.snapshot.policies.len(), followed.problems().len()), (0, 1));
    followed.files(&[("a.yaml", Some(&good))]);
    assert_eq!((followed.snapshot.policies.len(), followed.problems().len()), (1, 0));
    // However often it is written.
    for _ in 0..2 {
        assert_eq!(followed.files(&[("a.yaml", Some(&bad))]), []);
        assert_eq!(followed.snapshot.policies.len(), 1);
        assert_eq!(followed.problems()[0].object, "TrafficPolicy default/calm (a.yaml:2)");
    }
    let changes = followed.files(&[("a.yaml", Some(&policy("calm", "web", "Random")))]);
    assert!(matches!(&*changes, [Change::SetPolicy(_)]));
    followed.files(&[("a.yaml", Some(&bad))]);
    followed.files(&[("a.yaml", None)]);
    assert_eq!((followed.snapshot.policies.len(), followed.problems().len()), (0, 0));
}

#[test]
fn of_two_policies_of_one_name_the_first_file_counts() {
    let mut followed = Followed::new();
    followed.files(&[
        ("a.yaml", Some(&policy("calm", "cart", "Random"))),
        ("b.yaml", Some(&policy("calm", "web", "Random"))),
    ]);
    let services: Vec<_> = followed.snapshot.policies.keys().map(|s| s.name.clone()).collect();
    assert_eq!(services, ["cart".into()]);
    assert!(followed.problems()[0].reason.ends_with("which comes first by file name and line"));
}

#[test]
fn a_pods_weight_is_followed() {
    let mut followed = Followed::new();
    let with = |weight: &str| {
        let annotation = format!("{{name: web-0, annotations: {{etm.dev/weight: '{weight}'}}, ");
        pod("web-0", "web", 1).replace("{name: web-0, ", &annotation)
    };
    let weights = |followed: &Followed| -> Vec<u16> {
        followed.snapshot.pod_weights.values().map(|weight| weight.get()).collect()
    };
    followed.files(&[("a.yaml", Some(&with("7")))]);
    assert_eq!(weights(&followed), [7]);
    assert_eq!(followed.files(&[("a.yaml", Some(&with("7")))]), []);
    followed.files(&[("a.yaml", Some(&with("0")))]);
    assert_eq!(weights(&followed), [1]);
    let [problem] = followed.problems().try_into().unwrap();
    assert_eq!(problem.object, "Pod default/web-0 (a.yaml:2)");
    assert_eq!(problem.field, "metadata.annotations[etm.dev/weight]");
    followed.files(&[("a.yaml", Some(&pod("web-0", "web", 1)))]);
    assert_eq!((weights(&followed), followed.problems()), (vec![], vec![]));
    followed.files(&[("a.yaml", Some(&with("7")))]);
    followed.files(&[("a.yaml", None)]);
    assert_eq!(weights(&followed), [0; 0]);
}

#[test]
fn pods_count_only_without_a_slice() {
    let mut followed = Followed::new();
    let objects = service("cart", 80, "") + &pod("cart-0", "cart", 1) + &pod("web-0", "web", 2);
    followed.files(&[("a.yaml", Some(&objects))]);
    let endpoints = |followed: &Followed| {
        let slices = followed.snapshot.slices.values().flat_map(BTreeMap::values);
        slices.flat_map(|slice| &slice.endpoints).map(|e| e.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(endpoints(&followed), ["10.244.1.1"]);
    // The name that the derived slice has.
    followed.files(&[("b.yaml", Some(&slice("cart-ipv4-0", "cart", 9)))]);
    assert_eq!(endpoints(&followed), ["10.244.0.9"]);
    assert_eq!(followed.files(&[("c.yaml", Some(&pod("cart-1", "cart", 3)))]), []);
    followed.files(&[("b.yaml", None)]);
    assert_eq!(endpoints(&followed), ["10.244.1.1", "10.244.1.3"]);
    followed.files(&[("c.yaml", Some(&pod("cart-1", "web", 3)))]);
    assert_eq!(endpoints(&followed), ["10.244.1.1"]);
}

#[test]
fn a_target_port_that_no_pod_has() {
    let mut followed = Followed::new();
    let text = service("cart", 80, "").replace("port: 80", "port: 80, targetPort: http");
    followed.files(&[("a.yaml", Some(&(text + &pod("cart-0", "cart", 1))))]);
    let [problem] = followed.problems().try_into().unwrap();
    assert_eq!(problem.object, "Service default/cart (a.yaml:2)");
    assert_eq!(problem.field, "spec.ports[0].targetPort");
}

#[test]
fn this_nodes_addresses() {
    let mut followed = Followed::new();
    assert_eq!(&*followed.snapshot.node.name, "a");
    let given = vec!["127.0.0.1".parse().unwrap(), "192.0.2.9".parse().unwrap()];
    assert!(followed.index.set_node_addresses(given.clone()).is_some());
    assert_eq!(followed.index.set_node_addresses(given), None);
    let other = node(7).replace("name: a", "name: b");
    assert_eq!(followed.files(&[("b.yaml", Some(&other))]), []);
    followed.files(&[("a.yaml", Some(&node(1)))]);
    let addresses: Vec<_> =
        followed.snapshot.node.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.9"]);
    followed.files(&[("a.yaml", None)]);
    assert_eq!(followed.snapshot.node.addresses.len(), 1);
}

#[test]
fn this_nodes_zone_and_end() {
    let mut followed = Followed::new();
    let zoned = node(1).replace("name: a", "name: a, labels: {topology.kubernetes.io/zone: east}");
    followed.files(&[("a.yaml", Some(&zoned))]);
    assert_eq!(followed.snapshot.node.zone.as_deref(), Some("east"));
    let ending = zoned.clone() + "spec: {taints: [{key: ToBeDeletedByClusterAutoscaler}]}\n";
    let [Change::Node(told)] = &*followed.files(&[("a.yaml", Some(&ending))]) else {
        panic!("the node changed")
    };
    assert!(told.deleting);
    followed.files(&[("a.yaml", Some(&zoned.replace("name: a,", "name: b,")))]);
    assert_eq!(
        (followed.snapshot.node.zone.as_deref(), followed.snapshot.node.deleting),
        (None, false)
    );
}

const FILES: [&str; 3] = ["a.yaml", "b.yaml", "c.yaml"];

fn object() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["cart", "web"]);
    let created = prop::sample::select(vec![
        "",
        ", creationTimestamp: \"2020-01-01T00:00:00Z\"",
        ", creationTimestamp: \"2021-01-01T00:00:00Z\"",
    ]);
    prop_oneof![
        (name.clone(), 80_u16..82, created).prop_map(|(n, port, c)| service(n, port, c)),
        (prop::sample::select(vec!["one", "cart-ipv4-0"]), name.clone(), 1_u8..3)
            .prop_map(|(slice_name, n, ip)| slice(slice_name, n, ip)),
        (prop::sample::select(vec!["p", "q"]), name, 1_u8..3).prop_map(|(p, n, ip)| pod(p, n, ip)),
        (1_u8..3).prop_map(node),
    ]
}

fn event() -> impl Strategy<Value = (&'static str, Option<String>)> {
    let text = prop::collection::vec(object(), 0..4).prop_map(|objects| objects.concat());
    (prop::sample::select(&FILES[..]), prop::option::weighted(0.8, text))
}

proptest! {
    #[test]
    fn any_history_ends_as_a_fresh_read(
        history in prop::collection::vec(prop::collection::vec(event(), 1..3), 0..12),
    ) {
        let mut followed = Followed::new();
        let mut files = BTreeMap::new();
        for batch in &history {
            let batch: BTreeMap<_, _> = batch.iter().cloned().collect();
            let readings: Vec<_> = batch.iter().map(|(n, text)| (*n, text.as_deref())).collect();
            followed.files(&readings);
            files.extend(batch);
        }
        let mut fresh = Followed::new();
        let all: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_deref())).collect();
        fresh.files(&all);
        prop_assert_eq!(&followed.snapshot, &fresh.snapshot);
        prop_assert_eq!(followed.problems(), fresh.problems());
    }
}

#[test]
fn a_release_is_routed_as_its_status_says() {
    let text = |status: &str| {
        format!(
            "apiVersion: etm.dev/v1alpha1\nkind: Release\nmetadata: {{name: two, namespace: shop}}\n\
             spec:\n  services: [{{service: web, stable: {{service: web-1}}, new: {{service: \
             web-2}}}}]\n  strategy: {{blueGreen: {{}}}}\n{status}"
        )
    };
    let mut followed = Followed::new();
    let mut routed = |status: &str| {
        followed.files(&[("r.yaml", Some(&text(status)))]);
        let routes = followed.snapshot.routes.values();
        let rules = routes.flat_map(|routes| routes.iter().map(|route| route.rules.len()));
        (rules.collect::<Vec<_>>(), followed.problems().len())
    };
    assert_eq!(routed(""), (vec![], 0));
    assert_eq!(routed("status: {traffic: Switched}"), (vec![3], 0));
    assert_eq!(routed("status: {traffic: Nowhere}"), (vec![3], 1), "as before");
    assert_eq!(routed("status: {traffic: New}"), (vec![1], 0));
    followed.files(&[("r.yaml", None)]);
    assert!(followed.snapshot.routes.is_empty());
}
