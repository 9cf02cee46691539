//! Files of manifests: how they may be written, and what becomes of broken ones.

use std::net::{IpAddr, SocketAddr};

use etm_model::Protocol as Transport;
use etm_testkit::{Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{POD_PORT, PORT, Scene, VIP4, assert_served, web, web_pod};
use etm_testkit::wait::{until, until_logged};

fn text(object: impl Into<Value>) -> String {
    format!("{:#}\n", object.into())
}

#[test]
fn a_broken_file_is_named_and_its_last_good_state_serves_on() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.start();
    let broken = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports: [80\n";
    scene.manifests.write("web.yaml", broken).expect("a file");
    until_logged(&agent, &["WARN", "web.yaml:", "stay as they were until it is mended"]);
    // A field of a wrong type is as bad, and has a line.
    let wrong = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports: many\n";
    scene.manifests.write("web.yaml", wrong).expect("a file");
    until_logged(&agent, &["WARN", "web.yaml:6:", "stay as they were until it is mended"]);
    // Other files are followed meanwhile.
    scene.withdraw("web-0");
    scene.until_web_has(1);
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(VIP4, PORT));
    let call = call.expect("a call");
    assert_served(&call, &client);
    assert_eq!(call.pod(), Some("web-1"));
    // Mended, with another port.
    let mended = objects::Service::new("web", &[VIP4])
        .port("http", "TCP", 8888, POD_PORT)
        .selector("app", "web");
    scene.manifests.apply("web.yaml", &[mended]).expect("a file");
    let target = SocketAddr::new(VIP4, 8888);
    until("the new port is there", || scene.members(target, Transport::Tcp) == Some(1));
    until_logged(&agent, &["INFO", "mended: web.yaml:6:", "sequence"]);
    let call = scene.caller(&client, Protocol::Tcp).call(target).expect("a call");
    assert_served(&call, &client);
    assert_eq!(scene.get("services").len(), 1);
    drop(pods);
}

#[test]
fn a_file_that_is_broken_at_the_start_does_not_hold_up_the_others() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    scene.manifests.write("broken.yaml", "kind: [\n").expect("a file");
    scene.manifests.write_in_place("binary.yaml", "a: \u{0}\n").expect("a file");
    let client = scene.client();
    let agent = scene.start();
    until_logged(&agent, &["WARN", "broken.yaml:"]);
    until_logged(&agent, &["WARN", "binary.yaml:"]);
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(VIP4, PORT));
    assert_served(&call.expect("a call"), &client);
}

#[test]
fn files_may_be_renamed_into_place_or_written_in_place() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1"]);
    let agent = scene.start();
    for round in 0..20 {
        let ready = round % 2 == 1;
        let text = text(web_pod(&pods[1].pod).ready(ready));
        if round % 4 < 2 {
            scene.manifests.write("pod-web-1.yaml", &text).expect("a file");
        } else {
            scene.manifests.write_in_place("pod-web-1.yaml", &text).expect("a file");
        }
        scene.until_web_has(if ready { 2 } else { 1 });
    }
    // Not even for a moment was there half of a file to complain about.
    assert!(!agent.stderr().contains("pod-web-1.yaml"), "{}", agent.stderr());
}

#[test]
fn lists_and_json_and_several_documents_are_read() {
    let scene = Scene::new();
    let pods = [scene.backend("web-0"), scene.backend("web-1")];
    let list = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": pods.each_ref().map(|backend| Value::from(web_pod(&backend.pod))),
    });
    scene.manifests.write("pods.json", &list.to_string()).expect("a file");
    let other: IpAddr = "10.96.0.11".parse().expect("an address");
    let second = objects::Service::new("second", &[other])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web");
    let both = format!("---\n{}---\n{}", text(web()), text(second));
    scene.manifests.write("services.yml", &both).expect("a file");
    scene.manifests.write("notes.txt", "kind: [\n").expect("a file");
    let client = scene.client();
    let agent = scene.start();
    for ip in [VIP4, other] {
        let target = SocketAddr::new(ip, PORT);
        assert_eq!(scene.members(target, etm_model::Protocol::Tcp), Some(2));
        let call = scene.caller(&client, Protocol::Tcp).call(target).expect("a call");
        assert_served(&call, &client);
    }
    // A file without one of its documents is a Service less.
    scene.manifests.write("services.yml", &text(web())).expect("a file");
    until("the second one is gone", || scene.get("services").len() == 4);
    assert!(!agent.stderr().contains("WARN"), "{}", agent.stderr());
}
