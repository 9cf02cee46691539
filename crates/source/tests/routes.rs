//! Routes in a directory, and what they ask for besides.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::PathBuf, time::Duration};

use etm_model::{Action, DestinationRef, ObjectName, RouteKind, RouteOwner, Snapshot};
use etm_source::{Manifests, Options};
use tempfile::TempDir;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

struct Directory {
    folder: TempDir,
    manifests: Manifests,
    snapshot: Snapshot,
    told: Vec<String>,
}

impl Directory {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (manifests, snapshot, _) =
            Manifests::open(folder.path(), Options { node: "a".into(), ..Options::default() })
                .unwrap();
        Self { folder, manifests, snapshot, told: Vec::new() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a file, and takes in what that changes.
    async fn write(&mut self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
        self.update().await;
    }

    async fn remove(&mut self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
        self.update().await;
    }

    async fn update(&mut self) {
        let update = timeout(PATIENCE, self.manifests.next()).await.unwrap().unwrap();
        for change in update.changes {
            self.snapshot.change(change);
        }
        let told = update.problems.iter().map(|one| format!("{}: {}", one.object, one.field));
        self.told = told.collect();
    }

    /// The weights of the first rule of an object's first route.
    fn weights(&self, kind: RouteKind, name: &str) -> Vec<u32> {
        let owner = RouteOwner { kind, name: ObjectName::new("shop", name) };
        let Some(routes) = self.snapshot.routes.get(&owner) else { return Vec::new() };
        let Action::Forward(to) = &routes[0].rules[0].action else { panic!("{routes:?}") };
        to.iter().map(|destination| destination.weight).collect()
    }
}

fn split(weight: u32) -> String {
    format!(
        "apiVersion: etm.dev/v1alpha1\nkind: TrafficRoute\nmetadata: {{name: split, namespace: \
         shop}}\nspec: {{targetRef: {{name: cart}}, rules: [{{to: [{{service: {{name: v2}}, weight: \
         {weight}}}]}}]}}\n"
    )
}

#[tokio::test]
async fn a_route_comes_changes_and_goes() {
    let mut directory = Directory::open();
    directory.write("route.yaml", &split(3)).await;
    assert_eq!(directory.weights(RouteKind::TrafficRoute, "split"), [3]);
    directory.write("route.yaml", &split(4)).await;
    assert_eq!(directory.weights(RouteKind::TrafficRoute, "split"), [4]);
    // What makes no sense counts as it was before.
    directory.write("route.yaml", &split(0)).await;
    assert_eq!(directory.weights(RouteKind::TrafficRoute, "split"), [4]);
    assert_eq!(directory.told, ["TrafficRoute shop/split (route.yaml:1): spec.rules[0].to"]);
    directory.remove("route.yaml").await;
    assert_eq!((directory.snapshot.routes.len(), directory.told.len()), (0, 0));
}

#[tokio::test]
async fn labels_of_pods_are_told_where_a_route_asks() {
    let pod = |namespace: &str, name: &str, version: u8| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: \
             {{version: '{version}'}}}}\n---\n"
        )
    };
    let route = "apiVersion: etm.dev/v1alpha1\nkind: TrafficRoute\nmetadata: {name: split, \
                 namespace: shop}\nspec: {targetRef: {name: cart}, rules: [{to: [{subset: \
                 {matchLabels: {version: '2'}}}]}]}\n";
    let mut directory = Directory::open();
    let both = pod("shop", "cart-1", 1) + &pod("lab", "other", 1);
    directory.write("route.yaml", &split(1)).await;
    fs::write(directory.path("pods.yaml"), &both).unwrap();
    directory.write("more.yaml", &pod("shop", "cart-2", 2)).await;
    assert_eq!(directory.snapshot.pod_labels.len(), 0);

    directory.write("route.yaml", route).await;
    let labels = |directory: &Directory| -> Vec<String> {
        let told = directory.snapshot.pod_labels.iter();
        told.map(|(pod, labels)| format!("{pod}={}", labels["version"])).collect()
    };
    assert_eq!(labels(&directory), ["shop/cart-1=1", "shop/cart-2=2"]);
    directory.write("more.yaml", &pod("shop", "cart-2", 3)).await;
    assert_eq!(labels(&directory), ["shop/cart-1=1", "shop/cart-2=3"]);
    directory.remove("more.yaml").await;
    assert_eq!(labels(&directory), ["shop/cart-1=1"]);
    directory.write("route.yaml", &split(1)).await;
    assert_eq!(labels(&directory), [""; 0]);
}

#[tokio::test]
async fn labels_of_namespaces() {
    let mut directory = Directory::open();
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n";
    directory.write("namespace.yaml", namespace).await;
    let labels = &directory.snapshot.namespaces["shop"];
    assert_eq!(&*labels["team"], "a");
    assert_eq!(&*labels["kubernetes.io/metadata.name"], "shop");
    directory.remove("namespace.yaml").await;
    assert_eq!(directory.snapshot.namespaces.len(), 0);
}

#[tokio::test]
async fn routes_of_the_gateway_api() {
    let route = |kind: &str, version: &str, rule: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: split, \
             namespace: shop}}\nspec: {{parentRefs: [{{group: '', kind: Service, name: cart}}], \
             rules: [{{{rule}backendRefs: [{{name: v2, port: 80, weight: 7}}]}}]}}\n"
        )
    };
    let mut directory = Directory::open();
    for (kind, name, version) in [
        (RouteKind::TcpRoute, "TCPRoute", "v1alpha2"),
        (RouteKind::UdpRoute, "UDPRoute", "v1"),
        (RouteKind::GrpcRoute, "GRPCRoute", "v1"),
        (RouteKind::HttpRoute, "HTTPRoute", "v1beta1"),
    ] {
        directory.write("route.yaml", &route(name, version, "")).await;
        assert_eq!(directory.weights(kind, "split"), [7], "{name}");
    }
    // What takes layer 7 counts for nothing, and is told.
    directory.write("route.yaml", &route("HTTPRoute", "v1", "timeouts: {request: 1s}, ")).await;
    assert_eq!(directory.weights(RouteKind::HttpRoute, "split"), [0; 0]);
    assert_eq!(directory.told, ["HTTPRoute shop/split (route.yaml:1): spec.rules[0].timeouts"]);
}

#[tokio::test]
async fn grants_come_and_go() {
    let mut directory = Directory::open();
    let grant = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: \
                 {name: open, namespace: lab}\nspec: {from: [{group: etm.dev, kind: TrafficRoute, \
                 namespace: shop}], to: [{group: '', kind: Service}]}\n";
    directory.write("grant.yaml", grant).await;
    assert_eq!(directory.snapshot.grants[&ObjectName::new("lab", "open")].services, None);
    let mut route = split(1).replace("{name: v2}", "{name: v2, namespace: lab}");
    route.push_str("---\n");
    directory.write("route.yaml", &route).await;
    let owner =
        RouteOwner { kind: RouteKind::TrafficRoute, name: ObjectName::new("shop", "split") };
    let Action::Forward(to) = &directory.snapshot.routes[&owner][0].rules[0].action else {
        panic!()
    };
    let DestinationRef::Service { name, .. } = &to[0].to else { panic!("{to:?}") };
    assert_eq!(*name, ObjectName::new("lab", "v2"));
    directory.remove("grant.yaml").await;
    assert_eq!(directory.snapshot.grants.len(), 0);
}
