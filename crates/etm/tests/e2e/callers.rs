//! Pods are known by their cgroups, and load balancer addresses are for those in their ranges.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_abi::Counter;
use etm_testkit::{Caller, Cgroup, Pod, Protocol, objects, page};
use serde_json::{Value, json};

use crate::scene::{PORT, REFUSED, Scene, VIP4, web, web_pod};
use etm_testkit::wait::{until, until_logged};

const BALANCED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const BALANCED6: &str = "2001:db8::1";
const UIDS: [&str; 2] =
    ["0c6a2f5e-63a2-4d3f-9d5e-8f1b7c2d3e4f", "1c6a2f5e-63a2-4d3f-9d5e-8f1b7c2d3e4f"];

/// Who calls: a Pod in its cgroup, as the kubelet lays it out.
struct Client {
    pod: Pod,
    uid: &'static str,
    /// The container's, and above it the Pod's and the class's.
    cgroups: Vec<Cgroup>,
}

impl Client {
    /// With the cgroupfs driver.
    fn burstable(scene: &Scene, root: &Cgroup, name: &str, uid: &'static str) -> Self {
        let class = root.child("burstable").expect("a cgroup");
        let pod = class.child(&format!("pod{uid}")).expect("a cgroup");
        let container = pod.child("0123456789abcdef").expect("a cgroup");
        let cgroups = vec![container, pod, class];
        Self { pod: scene.node.pod(name).expect("a Pod"), uid, cgroups }
    }

    /// With the systemd driver; class Guaranteed has no cgroup of its own.
    fn guaranteed(scene: &Scene, root: &Cgroup, name: &str, uid: &'static str) -> Self {
        let unit = format!("kubepods-pod{}.slice", uid.replace('-', "_"));
        let pod = root.child(&unit).expect("a cgroup");
        let container = pod.child("cri-containerd-0123456789abcdef.scope").expect("a cgroup");
        Self { pod: scene.node.pod(name).expect("a Pod"), uid, cgroups: vec![container, pod] }
    }

    fn caller(&self, protocol: Protocol) -> Caller {
        Caller::new(&self.pod.place().within(&self.cgroups[0]), protocol)
    }

    /// Tells the agent of the Pod, and waits until its caller is known.
    fn declare(&self, scene: &Scene) {
        let object = objects::Pod::of(&self.pod).set("metadata.uid", self.uid);
        let file = format!("client-{}.yaml", self.pod.name());
        scene.manifests.apply(&file, &[object]).expect("a manifest");
        let name = format!("default/{}", self.pod.name());
        until(&format!("{name} is known"), || row(scene, self.uid)["pod"] == name.as_str());
    }
}

/// What `etm get callers` says of a Pod; null where it is not there.
fn row(scene: &Scene, uid: &str) -> Value {
    let rows = scene.get("callers");
    rows.into_iter().find(|row| row["uid"] == uid).unwrap_or_default()
}

/// The Service `web`, whose load balancer addresses are for these ranges.
fn balance(scene: &Scene, ranges: &[String]) {
    let service = web()
        .set("spec.type", "LoadBalancer")
        .set("spec.loadBalancerSourceRanges", ranges.to_vec())
        .set(
            "status.loadBalancer.ingress",
            json!([{"ip": BALANCED.to_string()}, {"ip": BALANCED6}]),
        );
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    let mut shown = ranges.iter().filter(|range| range.contains('.')).cloned().collect::<Vec<_>>();
    shown.sort();
    let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
    until(&format!("{BALANCED} is for {shown}"), || {
        let address = format!("{BALANCED}:{PORT}");
        scene
            .get("services")
            .iter()
            .any(|row| row["address"] == address.as_str() && row["callers"] == shown.as_str())
    });
}

const BOTH: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

#[track_caller]
fn is_served(caller: &Caller, ip: IpAddr) {
    let call = caller.call(SocketAddr::new(ip, PORT)).expect("a call");
    assert_eq!(call.pod(), Some("web-0"), "{call:?}");
}

#[track_caller]
fn is_refused(caller: &Caller, ip: IpAddr) {
    let call = caller.call(SocketAddr::new(ip, PORT)).expect("a call");
    assert_eq!(call.errno, REFUSED, "{call:?}");
}

#[test]
fn load_balancer_source_ranges() {
    let scene = Scene::new();
    scene.manifests.apply("pod.yaml", &[] as &[Value]).expect("a manifest");
    let root = scene.cgroup.child("kubepods").expect("a cgroup");
    let systemd = scene.cgroup.child("kubepods.slice").expect("a cgroup");
    let one = Client::burstable(&scene, &root, "one", UIDS[0]);
    let web = scene.node.pod("web-0").expect("a Pod");
    let _server = web.serve(&[8080], &[8080]).expect("a server");
    scene.manifests.apply("web-0.yaml", &[web_pod(&web)]).expect("a manifest");
    let _agent = scene.start();
    balance(&scene, &[format!("{}/32", one.pod.ipv4()), format!("{}/128", one.pod.ipv6())]);
    let ipv6: IpAddr = BALANCED6.parse().expect("an address");

    // Only its cgroup is known so far.
    is_refused(&one.caller(Protocol::Tcp), BALANCED);
    assert_eq!(row(&scene, UIDS[0])["pod"], "");
    one.declare(&scene);
    for protocol in BOTH {
        is_served(&one.caller(protocol), BALANCED);
        is_served(&one.caller(protocol), ipv6);
        is_served(&one.caller(protocol).mapped(), BALANCED);
    }

    // One that starts later, outside of the ranges.
    let two = Client::guaranteed(&scene, &systemd, "two", UIDS[1]);
    two.declare(&scene);
    let before = scene.counters();
    for protocol in BOTH {
        is_refused(&two.caller(protocol), BALANCED);
        is_refused(&two.caller(protocol), ipv6);
        is_served(&two.caller(protocol), VIP4);
    }
    let after = scene.counters();
    let counted = |counter| after[&counter] - before[&counter];
    assert_eq!(counted(Counter::ConnectSource), 4);
    assert_eq!(counted(Counter::SendSource), 2);
    assert_eq!(counted(Counter::CallerUnknown), 0);

    // Whoever is neither a Pod that is known nor the node is nobody.
    let stranger = scene.node.pod("stranger").expect("a Pod");
    is_refused(&Caller::new(&stranger.place().within(&scene.cgroup), Protocol::Tcp), BALANCED);
    assert_eq!(scene.counters()[&Counter::CallerUnknown], after[&Counter::CallerUnknown] + 1);

    // The node calls from its own address.
    let node = Caller::new(&scene.node.place().within(&scene.cgroup), Protocol::Tcp);
    is_refused(&node, BALANCED);
    balance(&scene, &[format!("{}/32", scene.node.ipv4()), format!("{}/32", two.pod.ipv4())]);
    is_served(&node, BALANCED);
    is_served(&two.caller(Protocol::Tcp), BALANCED);
    is_refused(&one.caller(Protocol::Tcp), BALANCED);
    is_refused(&two.caller(Protocol::Tcp), ipv6);
}

/// Where the agent serves its metrics, in the node's network.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9440);

/// How many Pods' cgroups the agent knows the Pod of, and of how many it does not.
fn counted(scene: &Scene) -> [u64; 2] {
    let page = page(&scene.node.place(), ADMIN, "/metrics").expect("metrics").text;
    ["true", "false"].map(|known| {
        let metric = format!("etm_callers{{known=\"{known}\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&metric));
        value.expect("the metric").parse().expect("a number")
    })
}

#[test]
fn callers_come_and_go_with_their_cgroups() {
    let scene = Scene::new();
    let agent = scene.agent().arg("--admin").arg(ADMIN.to_string()).start().expect("an agent");
    let root = scene.cgroup.child("kubepods").expect("a cgroup");
    let client = Client::burstable(&scene, &root, "one", UIDS[0]);
    until("its cgroup is counted", || counted(&scene) == [0, 1]);
    client.declare(&scene);
    until("it is counted", || counted(&scene) == [1, 0]);
    let shown = row(&scene, UIDS[0]);
    let addresses = [IpAddr::from(client.pod.ipv4()), client.pod.ipv6().into()];
    assert_eq!(shown["addresses"], json!(addresses), "{shown}");
    let path = shown["cgroup"].as_str().unwrap_or_default();
    assert!(path.ends_with(&format!("kubepods/burstable/pod{}", UIDS[0])), "{shown}");
    let node = scene.get("callers").remove(0);
    assert_eq!((&node["pod"], &node["cgroupId"]), (&json!("node-a"), &json!(0)), "{node}");
    let table = String::from_utf8(scene.etm(&["get", "callers"]).stdout).expect("text");
    assert!(table.contains("(node node-a)") && table.contains("default/one"), "{table}");

    // What came and went while no agent ran is found by the next.
    agent.stop().expect("an end");
    assert_eq!(row(&scene, UIDS[0]), shown);
    drop(client);
    let again = Client::guaranteed(&scene, &root, "two", UIDS[1]);
    let agent = scene.start();
    assert_eq!(row(&scene, UIDS[0]), Value::Null);
    assert_eq!(row(&scene, UIDS[1])["pod"], "");
    drop(again);
    until("its cgroup is gone", || row(&scene, UIDS[1]) == Value::Null);
    drop(agent);
}

/// A UUID that no Pod has.
fn uid_of_a_stranger(number: u32) -> String {
    format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f")
}

#[test]
fn callers_beyond_what_the_map_holds_wait_for_room() {
    // The node takes one of the 8192 places.
    const STRANGERS: u32 = 8191;
    let scene = Scene::new();
    let root = scene.cgroup.child("kubepods").expect("a cgroup");
    let mut strangers: Vec<_> = (0..STRANGERS)
        .map(|number| root.child(&format!("pod{}", uid_of_a_stranger(number))).expect("a cgroup"))
        .collect();
    let web = scene.node.pod("web-0").expect("a Pod");
    let _server = web.serve(&[8080], &[8080]).expect("a server");
    scene.manifests.apply("web-0.yaml", &[web_pod(&web)]).expect("a manifest");
    let agent = scene.start();
    assert_eq!(scene.get("callers").len(), 8192);

    let client = Client::burstable(&scene, &root, "one", UIDS[0]);
    let object = objects::Pod::of(&client.pod).set("metadata.uid", client.uid);
    scene.manifests.apply("client-one.yaml", &[object]).expect("a manifest");
    until_logged(&agent, &["WARN", "Pod default/one: cannot be noted as a caller: map CALLERS"]);
    balance(&scene, &[format!("{}/32", client.pod.ipv4())]);
    is_refused(&client.caller(Protocol::Tcp), BALANCED);
    is_served(&client.caller(Protocol::Tcp), VIP4);
    assert_eq!(row(&scene, UIDS[0]), Value::Null);

    drop(strangers.pop());
    until_logged(&agent, &["INFO", "mended: Pod default/one: cannot be noted as a caller"]);
    assert_eq!(row(&scene, UIDS[0])["pod"], "default/one");
    is_served(&client.caller(Protocol::Tcp), BALANCED);
    let (_, log) = agent.stop().expect("an end");
    let told = log.matches("WARN Pod default/one: ").count();
    assert_eq!(told, 1, "each failure is told once: {log}");
}
