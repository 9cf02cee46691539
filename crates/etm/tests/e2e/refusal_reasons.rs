//! Each refusal is counted and told by its reason.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_abi::{Counter, FRONTEND_ELSEWHERE};
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol as Transport};
use etm_testkit::objects::EndpointSlice;
use etm_testkit::wait::{until, until_logged};
use etm_testkit::{Agent, Pod, Protocol, page};

use crate::scene::{OUT, POD_PORT, PORT, REFUSED, Scene, VIP4, VIPS, assert_served, web};

/// Where the agent serves its metrics, in the node's network.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9440);
const TARGET: SocketAddr = SocketAddr::new(VIP4, PORT);
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];
/// Reasons, as metrics have them, and their counters of connect() and of sendmsg().
const REASONS: [(&str, Counter, Counter); 5] = [
    ("no-endpoints", Counter::ConnectNoEndpoints, Counter::SendNoEndpoints),
    ("all-ejected", Counter::ConnectAllEjected, Counter::SendAllEjected),
    ("local-policy", Counter::ConnectLocalPolicy, Counter::SendLocalPolicy),
    ("unknown-port", Counter::ConnectUnknownPort, Counter::SendUnknownPort),
    ("source", Counter::ConnectSource, Counter::SendSource),
];

fn start(scene: &Scene) -> Agent {
    scene.agent().arg("--admin").arg(ADMIN.to_string()).start().expect("an agent")
}

/// Calls once by each protocol on each family, and is refused.
fn is_refused(scene: &Scene, client: &Pod) {
    for protocol in PROTOCOLS {
        for ip in VIPS {
            let call = scene.caller(client, protocol).call(SocketAddr::new(ip, PORT));
            let call = call.expect("a call");
            assert_eq!(call.errno, REFUSED, "{call:?}");
        }
    }
}

/// So many refusals of connect() and of sendmsg() have this reason, and none has another.
#[track_caller]
fn only(scene: &Scene, reason: &str, counts: [u64; 2]) {
    let counters = scene.counters();
    for (other, connect, send) in REASONS {
        let expected = if other == reason { counts } else { [0, 0] };
        assert_eq!([counters[&connect], counters[&send]], expected, "{other}");
    }
}

/// What the metrics have of a reason: connect() and sendmsg().
fn measured(scene: &Scene, reason: &str) -> [u64; 2] {
    let text = page(&scene.node.place(), ADMIN, "/metrics").expect("metrics").text;
    ["connect", "sendmsg"].map(|call| {
        let metric = format!("etm_refusals_total{{call=\"{call}\",reason=\"{reason}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&metric));
        value.expect("the metric").parse().expect("a number")
    })
}

#[test]
fn no_endpoints() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let agent = start(&scene);
    assert_eq!(measured(&scene, "no-endpoints"), [0, 0]);
    is_refused(&scene, &client);
    only(&scene, "no-endpoints", [4, 2]);
    assert_eq!(measured(&scene, "no-endpoints"), [4, 2]);
    assert_eq!(measured(&scene, "all-ejected"), [0, 0]);
    until_logged(&agent, &["WARN connect() refused, the Service has no ready endpoint"]);
}

#[test]
fn all_ejected() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    scene.start().stop().expect("an end");
    assert!(scene.set_state("web-0", OUT) > 0);
    let call = scene.caller(&client, Protocol::Tcp).call(TARGET).expect("a call");
    assert_eq!(call.pod(), Some("web-1"), "{call:?}");
    only(&scene, "all-ejected", [0, 0]);
    assert!(scene.set_state("web-1", OUT) > 0);
    is_refused(&scene, &client);
    only(&scene, "all-ejected", [4, 2]);
    // The next agent counts on.
    let _agent = start(&scene);
    assert_eq!(measured(&scene, "all-ejected"), [4, 2]);
}

/// A slice of `web` for each family, whose one endpoint is on a node.
fn slices(pod: &Pod, node: &str) -> [EndpointSlice; 2] {
    let addresses = [("IPv4", IpAddr::from(pod.ipv4())), ("IPv6", pod.ipv6().into())];
    addresses.map(|(family, address)| {
        EndpointSlice::new(&format!("web-{}", family.to_lowercase()), "web", family)
            .port("http", "TCP", POD_PORT)
            .port("echo", "UDP", POD_PORT)
            .set(
                "endpoints",
                serde_json::json!([{
                    "addresses": [address.to_string()],
                    "conditions": {"ready": true},
                    "nodeName": node,
                }]),
            )
    })
}

fn is_elsewhere(scene: &Scene) -> bool {
    let view = View::open(&scene.pin()).expect("maps");
    let key = |ip, protocol| FrontendKey { ip, listener: Listener::Port(PORT, protocol) };
    let mut keys = VIPS
        .into_iter()
        .flat_map(|ip| [Transport::Tcp, Transport::Udp].map(|protocol| key(ip, protocol)));
    keys.all(|key| {
        let found = view.frontend(&key);
        found.is_some_and(|found| found.flags & FRONTEND_ELSEWHERE != 0)
    })
}

#[test]
fn local_policy() {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    let service = web().set("spec.internalTrafficPolicy", "Local");
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    scene.manifests.apply("slices.yaml", &slices(&backend.pod, "node-b")).expect("manifests");
    let client = scene.client();
    let agent = start(&scene);
    until("it is elsewhere", || is_elsewhere(&scene));
    is_refused(&scene, &client);
    only(&scene, "local-policy", [4, 2]);
    assert_eq!(measured(&scene, "local-policy"), [4, 2]);
    for call in ["connect() refused", "datagram refused"] {
        let told = format!("{call}, the traffic policy is Local and all endpoints are elsewhere");
        let rows = scene.get("counters");
        assert!(rows.iter().any(|row| row["meaning"] == told.as_str()), "{rows:?}");
    }
    until_logged(&agent, &["WARN", "the traffic policy is Local and all endpoints are elsewhere"]);

    // On this node it is reached, and once there is none at all, that is the reason.
    scene.manifests.apply("slices.yaml", &slices(&backend.pod, "node-a")).expect("manifests");
    scene.until_web_has(1);
    let call = scene.caller(&client, Protocol::Tcp).call(TARGET).expect("a call");
    assert_served(&call, &client);
    scene.manifests.remove("slices.yaml").expect("a manifest");
    scene.until_web_has(0);
    assert!(!is_elsewhere(&scene));
    let call = scene.caller(&client, Protocol::Tcp).call(TARGET).expect("a call");
    assert_eq!(call.errno, REFUSED);
    let counters = scene.counters();
    assert_eq!(counters[&Counter::ConnectNoEndpoints], 1);
    assert_eq!(counters[&Counter::ConnectLocalPolicy], 4);
}
