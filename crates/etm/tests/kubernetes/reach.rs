//! The API server is found without anything that forwards Services, this agent's own data path
//! included.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use etm_testkit::Agent;
use etm_testkit::wait::until_logged;
use serde_json::{Value, json};

use crate::forward::Forward;
use crate::scene::{Scene, addresses};

/// A kubeconfig that leads to a Service's address, as what a Pod is given does; in the node's
/// network nothing serves it.
fn of_service(scene: &Scene) -> PathBuf {
    let text = fs::read_to_string(scene.cluster.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let cluster = &mut config["clusters"][0]["cluster"];
    cluster["server"] = json!("https://10.96.0.1:443");
    // The certificate of the test's API server has no other name.
    cluster["tls-server-name"] = json!(scene.cluster.address().ip());
    let path = scene.state.path().join("service.kubeconfig");
    fs::write(&path, config.to_string()).expect("a kubeconfig");
    path
}

/// Whom the agent is connected to.
pub(crate) fn peers(agent: &Agent) -> Vec<SocketAddr> {
    let text = fs::read_to_string(format!("/proc/{}/net/tcp", agent.id())).expect("sockets");
    let established = text.lines().filter(|line| line.split_whitespace().nth(3) == Some("01"));
    let remotes = established.filter_map(|line| {
        let (ip, port) = line.split_whitespace().nth(2)?.split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(SocketAddr::from((Ipv4Addr::from(ip.to_ne_bytes()), port)))
    });
    remotes.collect()
}

#[test]
fn by_the_addresses_that_the_user_gives() {
    let scene = Scene::new();
    let forward = Forward::start(&scene.node, scene.cluster.address());
    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(2));
    // The first one is nobody's.
    let given = format!("{}:1,{}", scene.node.ipv4(), forward.address());
    let agent = scene.agent_with(&of_service(&scene)).place(&scene.node.place());
    let agent = agent.arg("--api-server").arg(given).start().expect("an agent");
    scene.until_members(web, Some(2));
    let peers = peers(&agent);
    assert!(peers.contains(&forward.address()), "{peers:?}");
    assert!(peers.iter().all(|peer| peer.ip() != Ipv4Addr::new(10, 96, 0, 1)), "{peers:?}");
}

#[test]
fn by_the_addresses_that_were_seen_before_the_boot() {
    let scene = Scene::alone();
    let forward = Forward::start(&scene.node, scene.cluster.address());
    let web = scene.service("web");
    let address = forward.address();
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [address.ip()]}],
    });
    scene.cluster.api().create(slices, &slice).expect("a slice");
    let kubeconfig = of_service(&scene);
    let at_boot = || scene.agent_with(&kubeconfig).place(&scene.node.place());
    let agent = at_boot().arg("--api-server").arg(address.to_string()).start().expect("an agent");
    scene.until_members(web, Some(0));
    agent.stop().expect("an end");
    scene.cluster.api().delete(&format!("{slices}/kubernetes")).expect("no slice");
    // As after a boot of the machine: nothing is pinned, and nothing forwards anything.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_etm"))
        .args(["detach", "--pin"])
        .arg(scene.pins.path().join("etm"))
        .output();
    assert!(output.expect("etm runs").status.success());

    let agent = at_boot().start().expect("an agent");
    scene.until_members(web, Some(0));
    assert!(peers(&agent).contains(&address), "{:?}", peers(&agent));
    drop(agent);
    fs::remove_file(scene.state.path().join("api-servers.json")).expect("a state file");
    let agent = at_boot().start().expect("an agent");
    until_logged(&agent, &["no API server answers: 10.96.0.1:443"]);
}

#[test]
fn by_a_context_of_the_kubeconfig() {
    let scene = Scene::new();
    let text = fs::read_to_string(scene.cluster.kubeconfig()).expect("a kubeconfig");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["contexts"][0]["name"] = json!("other");
    let path = scene.state.path().join("contexts.kubeconfig");
    fs::write(&path, config.to_string()).expect("a kubeconfig");
    // There is no current context.
    let error = scene.agent_with(&path).start().expect_err("no agent").to_string();
    assert!(error.contains("cannot use the kubeconfig"), "{error}");
    let web = scene.service("web");
    let other = scene.agent_without_kubeconfig().arg("--context").arg("other");
    let _agent = other.env("KUBECONFIG", &path).start().expect("an agent");
    scene.until_members(web, Some(0));
}

#[test]
fn one_source_and_not_two() {
    let scene = Scene::new();
    let both = scene.agent().manifests(scene.state.path()).start().expect_err("no agent");
    assert!(both.to_string().contains("give one"), "{both}");
    let none = Agent::of(env!("CARGO_BIN_EXE_etm")).start().expect_err("no agent");
    assert!(none.to_string().contains("nothing to follow"), "{none}");
}
