//! Everything that was made is gone afterwards, also after a panic, a stop and a kill.
#![expect(clippy::expect_used, reason = "a test fails by panicking, in its scene's set-up as well")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use etm_testkit::{Agent, BpfDir, Caller, Cgroup, Error, Manifests, Node, Protocol, require_root};

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn namespace_of(node: &Node) -> PathBuf {
    Path::new("/run/netns").join(node.namespace().name())
}

#[test]
fn a_scene_leaves_nothing_behind() {
    require_root().expect("privileges");
    let (namespaces, cgroup, pins, server) = {
        let node = Node::new().expect("a node");
        let pod = node.pod("web").expect("a Pod");
        let cgroup = Cgroup::new().expect("a cgroup");
        let _child = cgroup.child("pod").expect("a child");
        let pins = BpfDir::new().expect("a folder for pins");
        fs::create_dir(pins.path().join("maps")).expect("a folder");
        let server = pod.serve(&[80], &[53]).expect("a server");
        let namespaces =
            [&node.place(), &pod.place()].map(|place| place.namespace_path().expect("a path"));
        assert!(namespaces.iter().all(|path| path.exists()));
        (namespaces, cgroup.path().to_owned(), pins.path().to_owned(), server.id())
    };
    assert!(namespaces.iter().all(|path| !path.exists()));
    assert!(!cgroup.exists() && !pins.exists() && !is_alive(server));
}

#[test]
fn a_panic_cleans_up_as_well() {
    require_root().expect("privileges");
    let made = std::sync::Mutex::new(None);
    let panicked = std::panic::catch_unwind(|| {
        let node = Node::new().expect("a node");
        *made.lock().expect("a lock") = Some(namespace_of(&node));
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    let path = made.into_inner().expect("a lock").expect("a path");
    assert!(!path.exists());
}

#[test]
fn a_cgroup_takes_what_runs_in_it_along() {
    require_root().expect("privileges");
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut sleeper = cgroup.place().command("sleep").arg("1000").spawn().expect("sleep");
    let procs = cgroup.path().join("cgroup.procs");
    let deadline = Instant::now() + Duration::from_secs(5);
    while fs::read_to_string(&procs).expect("procs").is_empty() {
        assert!(Instant::now() < deadline, "the sleeper never entered the cgroup");
    }
    drop(cgroup);
    assert!(!sleeper.wait().expect("an end").success());
}

#[test]
fn what_a_killed_process_left_is_swept() {
    require_root().expect("privileges");
    // A process that is certainly gone once it has been waited for.
    let mut child = Command::new("true").spawn().expect("true");
    let dead = child.id();
    child.wait().expect("an end");
    // Each process sweeps once, so a fresh one has to do it.
    let name = format!("etmt-{dead}-0");
    let root = Cgroup::new().expect("a cgroup").path().parent().expect("a root").to_owned();
    let (cgroup, namespace) = (root.join(&name), Path::new("/run/netns").join(&name));
    fs::create_dir(&cgroup).expect("a cgroup");
    let added = Command::new("ip").args(["netns", "add", &name]).status().expect("ip");
    assert!(added.success());
    let fresh = std::env::current_exe().expect("a path");
    let swept = Command::new(fresh)
        .args(["--exact", "a_scene_leaves_nothing_behind"])
        .output()
        .expect("the same tests");
    assert!(swept.status.success(), "{swept:?}");
    assert!(!cgroup.exists() && !namespace.exists());
}

/// A stand-in for `etm` that knows only how to become ready, as the agent does.
fn stand_in(script: &str) -> (Manifests, PathBuf) {
    let folder = Manifests::new().expect("a folder");
    let path = folder.path().join("etm");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    let mode = Command::new("chmod").arg("+x").arg(&path).status().expect("chmod");
    assert!(mode.success());
    (folder, path)
}

#[test]
fn an_agent_is_waited_for_stopped_and_killed() {
    require_root().expect("privileges");
    let (_folder, path) = stand_in(
        "trap 'echo bye >&2; exit 0' TERM; echo \"$@ in $CITY\" >&2; echo starting; \
         echo ready services=0; while :; do sleep 0.01; done",
    );
    let builder = Agent::of(&path).node("node-a").arg("--log").arg("debug").env("CITY", "Bern");
    let agent = builder.start().expect("an agent");
    assert_eq!(agent.ready_line(), "ready services=0");
    agent.pause().expect("a pause");
    agent.resume().expect("going on");
    let (status, stderr) = agent.stop().expect("an end");
    assert!(status.success());
    assert_eq!(stderr, "agent --node node-a --log debug in Bern\nbye\n");

    let mut second = builder.start().expect("another");
    assert!(second.is_running());
    let pid = second.id();
    second.kill().expect("an end");
    assert!(!is_alive(pid));
}

#[test]
fn an_agent_that_gives_up_tells_why() {
    require_root().expect("privileges");
    let (_folder, path) = stand_in("echo 'etm: another agent holds these pins' >&2; exit 1");
    let error = Agent::of(&path).start().expect_err("it gave up");
    assert!(matches!(error, Error::NotReady { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("exit status: 1") && text.contains("holds these pins"), "{text}");
}

#[test]
fn a_taken_port_is_named() {
    require_root().expect("privileges");
    let node = Node::new().expect("a node");
    let _first = node.serve("one", &[80], &[]).expect("a server");
    let error = node.serve("two", &[80], &[]).expect_err("the port is taken");
    assert!(error.to_string().contains("TCP port 80"), "{error}");
    let target = std::net::SocketAddr::new(node.ipv4().into(), 80);
    let call = Caller::new(&node.place(), Protocol::Tcp).call(target).expect("a call");
    assert_eq!(call.pod(), Some("one"));
}
