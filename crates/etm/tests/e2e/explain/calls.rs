//! Calls reach the Pod that was told.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use etm_abi::POSITIONS;
use etm_testkit::Protocol;
use serde_json::{Value, json};

use super::stage::{Stage, hashed};
use crate::scene::{PORT, VIP4, VIP6};

#[test]
fn a_thousand_connections_are_where_explain_said() {
    const CLIENTS: u16 = 25;
    let objects = [hashed(&["callerPod", "callerAddress", "protocol"])];
    let mut stage = Stage::new(12, CLIENTS, &objects);
    stage.take_out(&["web-3", "web-8"]);
    let (mut made, mut moved, mut reached) = (0, 0, BTreeSet::new());
    for client in &stage.clients {
        for (family, vip) in [("4", VIP4), ("6", VIP6)] {
            for protocol in ["TCP", "UDP"] {
                let to = format!("web/{protocol}");
                let told = stage.json(&["--from", &client.name, "--to", &to, "--family", family]);
                assert_eq!(told["result"], "pod", "{told}");
                assert_eq!(told["called"]["address"], SocketAddr::new(vip, PORT).to_string());
                let members = told["members"].as_array().expect("members");
                let best = members.iter().find(|member| member["rank"] == 1).expect("the best");
                moved += usize::from(best["state"] == "out");
                let pod = told["destination"]["pod"].as_str().expect("a Pod").to_owned();
                let calls: &[_] = match protocol {
                    "TCP" => &[(Protocol::Tcp, 10)],
                    _ => &[(Protocol::UdpConnected, 5), (Protocol::UdpUnconnected, 5)],
                };
                for (protocol, count) in calls {
                    let caller = client.caller(&stage.from, *protocol);
                    for call in caller.calls(SocketAddr::new(vip, PORT), *count).expect("calls") {
                        let reached = call.pod().map(|pod| format!("default/{pod}"));
                        assert_eq!(reached.as_ref(), Some(&pod), "{call:?}: {told}");
                        made += 1;
                    }
                }
                reached.insert(pod);
            }
        }
    }
    assert_eq!(made, 1000);
    assert!(moved > 0, "some calls had to go to the next best");
    assert_eq!(reached.len(), 10, "all but the two that are out: {reached:?}");
}

#[test]
fn a_caller_that_is_not_known_goes_anywhere() {
    let stage = Stage::new(2, 0, &[hashed(&["callerPod"])]);
    let lines = stage.lines(&["--from", "unknown", "--to", "web:http"]);
    assert_eq!(
        lines[..3],
        [
            "result      one of the members below",
            "why         2 available members, at random, since callerPod is not known",
            "caller      neither a Pod of this node nor the node",
        ]
    );
    assert!(lines.contains(&"field       callerPod is not known".to_owned()), "{lines:?}");
    assert!(lines.contains(&format!("position    any of {POSITIONS}")), "{lines:?}");
    let stranger = stage.scene.caller(&stage.from, Protocol::Tcp);
    let calls = stranger.calls(SocketAddr::new(VIP4, PORT), 60).expect("calls");
    let reached: BTreeSet<_> = calls.iter().map(|call| call.pod()).collect();
    assert_eq!(reached, BTreeSet::from([Some("web-0"), Some("web-1")]));
}

#[test]
fn a_port_that_is_bound_counts() {
    const CALL: &str = "import socket, sys
s = socket.create_connection((sys.argv[1], 80), 5, ('', int(sys.argv[2])))
s.sendall(b'GET / HTTP/1.1\\r\\nHost: web\\r\\nConnection: close\\r\\n\\r\\n')
print(b''.join(iter(lambda: s.recv(4096), b'')).decode())";
    let stage = Stage::new(5, 1, &[hashed(&["callerPort"])]);
    let unbound = stage.json(&["--from", "caller-1", "--to", "web:http"]);
    assert_eq!((&unbound["result"], &unbound["hash"]["position"]), (&json!("oneOf"), &Value::Null));
    let note = "a socket that is not bound has no port yet when it connects, and goes anywhere; for \
                one that is bound, give --source-port";
    let notes = unbound["notes"].as_array().expect("notes");
    assert!(notes.contains(&note.into()), "{unbound}");
    let mut reached = BTreeSet::new();
    for port in 20_000..20_020 {
        let port = port.to_string();
        let words = ["--from", "caller-1", "--to", "web:http", "--source-port", &port];
        let told = stage.json(&words)["destination"]["pod"].as_str().expect("a Pod").to_owned();
        let place = stage.from.place().within(&stage.clients[0].cgroup);
        let mut command = place.command("python3");
        let output = command.args(["-c", CALL, &VIP4.to_string(), &port]).output().expect("a call");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pod = told.strip_prefix("default/").expect("its namespace");
        assert!(text.contains(&format!("\"{pod}\"")), "{told} for port {port}: {output:?}");
        reached.insert(told);
    }
    assert!(reached.len() > 1, "{reached:?}");
}
