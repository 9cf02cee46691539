//! `etm detach` removes everything, and only when no agent runs.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use etm_testkit::Protocol;
use rustix::process::{Pid, Signal, kill_process};

use crate::scene::{ETM, PORT, Scene, UNHANDLED, VIP4, assert_served};

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn everything_is_gone_afterwards() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let agent = scene.start();
    let call = || {
        let caller = scene.caller(&client, Protocol::Tcp);
        caller.call(SocketAddr::new(VIP4, PORT)).expect("a call")
    };
    let refused = scene.etm(&["detach"]);
    assert!(!refused.status.success());
    let pin = scene.pin();
    let expected = format!("error: an agent serves {}: stop it first\n", pin.display());
    assert_eq!(said(&refused), expected);
    assert_served(&call(), &client);

    agent.stop().expect("an end");
    let detached = scene.etm(&["detach"]);
    assert!(detached.status.success(), "{}", said(&detached));
    let line = String::from_utf8_lossy(&detached.stdout).into_owned();
    let expected =
        format!("detached 10 hooks and removed 1 set(s) of maps from {}\n", pin.display());
    assert_eq!(line, expected);
    assert!(!pin.exists());
    assert_eq!(call().errno, UNHANDLED);

    // Nothing is left to read or to remove, which is said in one line.
    for words in [&["get", "services"][..], &["get", "backends"], &["get", "counters"], &["detach"]]
    {
        let output = scene.etm(words);
        assert!(!output.status.success());
        let expected = format!("error: no etm data path is pinned in {}: ", pin.display());
        assert!(said(&output).starts_with(&expected), "{words:?}: {}", said(&output));
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    }

    let agent = scene.start();
    assert!(agent.ready_line().ends_with("0 kept, 0 replaced, 10 attached"));
    assert_served(&call(), &client);
}

#[test]
fn open_connections_go_on_but_show_the_pod() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    scene.start().stop().expect("an end");
    let caller = scene.caller(&client, Protocol::Tcp).keep_open();
    let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
    assert_served(&session.call().expect("a call"), &client);
    assert!(scene.etm(&["detach"]).status.success());
    let call = session.call().expect("a call");
    assert_eq!(call.pod(), Some("web-0"), "{call:?}");
    assert_eq!(call.peer, Some(pods[0].pod.at(crate::scene::POD_PORT)[0]));
}

#[test]
fn what_others_pinned_stays() {
    let scene = Scene::new();
    let others = scene.pin().join("others");
    scene.start().stop().expect("an end");
    std::fs::create_dir(&others).expect("a folder");
    assert!(scene.etm(&["detach"]).status.success());
    assert!(others.exists() && !scene.pin().join("links").exists());

    let nothing = scene.etm(&["detach"]);
    let expected = format!("error: no etm data path is pinned in {}: ", scene.pin().display());
    assert!(said(&nothing).starts_with(&expected), "{}", said(&nothing));
    assert!(others.exists());
}

#[test]
fn as_a_pod_it_stays_and_may_be_started_again() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    scene.start().stop().expect("an end");
    for first in ["detached 10 hooks", "nothing is pinned in"] {
        let mut child = Command::new(ETM)
            .args(["detach", "--stay", "--pin"])
            .arg(scene.pin())
            .stdout(Stdio::piped())
            .spawn()
            .expect("etm runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.starts_with(first), "{line}");
        assert_eq!(child.try_wait().expect("a child"), None);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
        assert!(child.wait().expect("an end").success());
    }
}
