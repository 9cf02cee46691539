//! `healthCheckNodePort`, asked as a load balancer asks: over HTTP, from outside of the cgroup.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use etm_testkit::{Agent, objects};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

use crate::scene::{POD_PORT, PORT, Scene, VIP4};
use etm_testkit::wait::{until, until_logged, until_some};

const CHECK: u16 = 32000;
/// So long that only an agent that hangs needs it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Does something in the node's own network.
fn on_the_node<T: Send>(
    scene: &Scene,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let path = scene.node.place().namespace_path().expect("a namespace");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = File::open(path)?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread.join().expect("the thread ends")
    })
}

fn connect(scene: &Scene, address: SocketAddr) -> io::Result<TcpStream> {
    let stream = on_the_node(scene, || TcpStream::connect(address))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// What a health check answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Of `X-Load-Balancing-Endpoint-Weight`.
    weight: Option<usize>,
    body: Value,
}

fn ask_at(scene: &Scene, ip: IpAddr, port: u16) -> io::Result<Answer> {
    let mut stream = connect(scene, SocketAddr::new(ip, port))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: node\r\nUser-Agent: balancer\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.expect("a status"),
        weight: header("x-load-balancing-endpoint-weight").and_then(|text| text.parse().ok()),
        body: serde_json::from_str(body).expect("JSON"),
    })
}

fn ask(scene: &Scene) -> io::Result<Answer> {
    ask_at(scene, scene.node.ipv4().into(), CHECK)
}

/// Waits until the answer has this status, and looks at all of it.
#[track_caller]
fn answers(scene: &Scene, status: u16, local_endpoints: usize, healthy: bool) {
    let answer = until_some(&format!("the health check answers {status}"), || {
        ask(scene).ok().filter(|answer| answer.status == status)
    });
    let expected = json!({
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": local_endpoints,
        "serviceProxyHealthy": healthy,
    });
    assert_eq!((answer.weight, &answer.body), (Some(local_endpoints), &expected));
}

fn service(name: &str, ip: IpAddr, check: u16) -> objects::Service {
    objects::Service::new(name, &[ip])
        .port("http", "TCP", PORT, POD_PORT)
        .set("spec.type", "LoadBalancer")
        .set("spec.externalTrafficPolicy", "Local")
        .set("spec.healthCheckNodePort", check)
}

/// Says of the endpoint on this node whether it is ready; beside it there is one elsewhere.
fn declare(scene: &Scene, ready: bool) {
    let endpoint = |address: &str, node: &str, ready: bool| {
        json!({
            "addresses": [address],
            "nodeName": node,
            "conditions": {"ready": ready, "serving": true, "terminating": !ready},
        })
    };
    let endpoints =
        vec![endpoint("10.244.0.77", "node-a", ready), endpoint("10.244.1.77", "node-b", true)];
    let slice = objects::EndpointSlice::new("web-1", "web", "IPv4")
        .port("http", "TCP", POD_PORT)
        .set("endpoints", endpoints);
    scene.manifests.apply("slice.yaml", &[slice]).expect("a manifest");
}

fn checked() -> (Scene, Agent) {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[service("web", VIP4, CHECK)]).expect("a manifest");
    declare(&scene, true);
    let agent = scene.start();
    (scene, agent)
}

#[test]
fn health_check_node_port_follows_the_local_endpoints() {
    let (scene, _agent) = checked();
    answers(&scene, 200, 1, true);
    let all: [IpAddr; 4] = [
        scene.node.ipv4().into(),
        scene.node.ipv6().into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for ip in all {
        assert_eq!(ask_at(&scene, ip, CHECK).expect("an answer").status, 200, "{ip}");
    }
    // It still gets what comes, but a load balancer is to turn away.
    declare(&scene, false);
    answers(&scene, 503, 0, true);
    declare(&scene, true);
    answers(&scene, 200, 1, true);
}

#[test]
fn health_check_node_port_turns_traffic_away_from_a_node_that_is_deleted() {
    let (scene, _agent) = checked();
    answers(&scene, 200, 1, true);
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
        "spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]},
    });
    scene.manifests.apply("node.yaml", &[node.clone()]).expect("a manifest");
    answers(&scene, 503, 1, false);
    node["spec"] = json!({});
    scene.manifests.apply("node.yaml", &[node.clone()]).expect("a manifest");
    answers(&scene, 200, 1, true);
    node["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z".into();
    scene.manifests.apply("node.yaml", &[node]).expect("a manifest");
    answers(&scene, 503, 1, false);
}

#[test]
fn health_check_node_ports_come_and_go_with_their_services() {
    let (scene, _agent) = checked();
    let other = service("other", "10.96.0.60".parse().expect("an address"), CHECK + 1);
    scene.manifests.apply("other.yaml", &[other]).expect("a manifest");
    let status = |port| ask_at(&scene, scene.node.ipv4().into(), port).ok().map(|a| a.status);
    until("the other one is served as well", || status(CHECK + 1) == Some(503));
    assert_eq!(status(CHECK), Some(200));
    let moved = service("web", VIP4, CHECK + 2);
    scene.manifests.apply("web.yaml", &[moved]).expect("a manifest");
    until("it has moved", || (status(CHECK), status(CHECK + 2)) == (None, Some(200)));
    let everywhere = service("web", VIP4, CHECK + 2)
        .set("spec.externalTrafficPolicy", "Cluster")
        .set("spec.healthCheckNodePort", 0);
    scene.manifests.apply("web.yaml", &[everywhere]).expect("a manifest");
    until("a Service that needs none has none", || status(CHECK + 2).is_none());
    assert_eq!(status(CHECK + 1), Some(503));
}

#[test]
fn a_health_check_node_port_that_is_taken_is_told_and_tried_again() {
    let scene = Scene::new();
    let taken = scene.node.serve("other-proxy", &[CHECK], &[]).expect("a server");
    scene.manifests.apply("web.yaml", &[service("web", VIP4, CHECK)]).expect("a manifest");
    declare(&scene, true);
    let agent = scene.start();
    let field = "Service default/web: spec.healthCheckNodePort: port 32000 cannot be served: ";
    until_logged(&agent, &["WARN", field, "in use", "tried again every"]);
    drop(taken);
    answers(&scene, 200, 1, true);
    until_logged(&agent, &["INFO", "mended: Service default/web: port 32000 cannot be served"]);
}

#[test]
fn who_says_nothing_keeps_nobody_from_a_health_check() {
    let (scene, mut agent) = checked();
    let address = SocketAddr::new(scene.node.ipv4().into(), CHECK);
    let mut silent: Vec<_> =
        (0..20).map(|_| connect(&scene, address).expect("a connection")).collect();
    silent[0].write_all(b"GET / HTT").expect("a piece of a request");
    silent[1].write_all(&[0xff; 4096]).expect("nonsense");
    silent.remove(2);
    answers(&scene, 200, 1, true);
    // They are not waited for any longer.
    let mut rest = Vec::new();
    assert_eq!(silent[5].read_to_end(&mut rest).expect("an end"), 0);
    assert!(agent.is_running());
}
