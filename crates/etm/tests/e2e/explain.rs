//! `etm explain` says where a call goes before it is made.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Output;

use etm_abi::{Backend as Record, Balancing, Candidate, HASH_CALLER_POD, POSITIONS};
use etm_dataplane::{Config, Dataplane, View};
use etm_decide::{Call, Offer, position};
use etm_model::{Limits, Step, hash};
use etm_testkit::wait::until;
use etm_testkit::{Agent, Caller, Cgroup, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{Backend, POD_PORT, PORT, Scene, VIP4, VIP6, VIPS, web, web_pod};

/// A state of [`Record`] that is neither free nor available.
const OUT: u8 = 2;

/// The policy of the Service `web`.
fn policy(load_balancing: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1", "kind": "TrafficPolicy",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"targetRef": {"name": "web"}, "loadBalancing": load_balancing},
    })
}

fn hashed(fields: &[&str]) -> Value {
    policy(&json!({"algorithm": "ConsistentHash", "consistentHash": {"fields": fields}}))
}

/// A Pod that calls: its cgroup, and addresses that only the manifests know.
struct Client {
    name: String,
    cgroup: Cgroup,
}

impl Client {
    fn new(scene: &Scene, kubepods: &Cgroup, number: u16) -> Self {
        let name = format!("caller-{number}");
        let uid = format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f");
        let cgroup = kubepods.child(&format!("pod{uid}")).expect("a cgroup");
        let [_, low] = number.to_be_bytes();
        let ips = [
            IpAddr::from(Ipv4Addr::new(10, 250, 0, low)),
            Ipv6Addr::new(0xfd00, 0x250, 0, 0, 0, 0, 0, number).into(),
        ];
        let object = objects::Pod::new(&name, &ips).set("metadata.uid", uid);
        scene.manifests.apply(&format!("{name}.yaml"), &[object]).expect("a manifest");
        Self { name, cgroup }
    }

    /// Its calls, from the network of any Pod: who it is only its cgroup tells.
    fn caller(&self, from: &Pod, protocol: Protocol) -> Caller {
        Caller::new(&from.place().within(&self.cgroup), protocol)
    }

    /// Id of its cgroup, as `etm get callers` shows it.
    fn cgroup_id(&self, scene: &Scene) -> u64 {
        let name = format!("default/{}", self.name);
        let rows = scene.get("callers");
        let row = rows.iter().find(|row| row["pod"] == name.as_str()).expect("the caller");
        row["cgroupId"].as_u64().expect("an id")
    }
}

/// The Service `web` with Pods of these names and a policy, and callers that the agent knows.
struct Stage {
    pods: Vec<Backend>,
    clients: Vec<Client>,
    /// Above the clients' own, so it goes after them.
    _kubepods: Cgroup,
    from: Pod,
    agent: Option<Agent>,
    scene: Scene,
}

impl Stage {
    fn new(pods: usize, clients: u16, objects: &[Value]) -> Self {
        let scene = Scene::new();
        let names: Vec<_> = (0..pods).map(|number| format!("web-{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let pods = scene.web(&names);
        let kubepods = scene.cgroup.child("kubepods").expect("a cgroup");
        let clients = (1..=clients).map(|number| Client::new(&scene, &kubepods, number));
        let clients: Vec<_> = clients.collect();
        scene.manifests.apply("more.yaml", objects).expect("a manifest");
        let from = scene.client();
        let agent = scene.start();
        until("every caller is known", || {
            let rows = scene.get("callers");
            let known: BTreeSet<_> = rows.iter().filter_map(|row| row["pod"].as_str()).collect();
            let name = |client: &Client| format!("default/{}", client.name);
            clients.iter().all(|client| known.contains(name(client).as_str()))
        });
        Self { scene, pods, clients, _kubepods: kubepods, from, agent: Some(agent) }
    }

    /// Ends the agent and writes another state into the records of these Pods, by hand.
    fn take_out(&mut self, names: &[&str]) {
        if let Some(agent) = self.agent.take() {
            agent.stop().expect("an end");
        }
        let contents = View::open(&self.scene.pin()).expect("maps").contents().expect("contents");
        let names: BTreeSet<_> = names.iter().map(|name| format!("default/{name}")).collect();
        let steps: Vec<_> = contents
            .backends
            .into_iter()
            .filter(|(id, _)| names.contains(&contents.backend_names[id]))
            .map(|(id, record)| Step::SetBackend { id, backend: Record { state: OUT, ..record } })
            .collect();
        assert_eq!(steps.len(), 4 * names.len(), "TCP and UDP, both families");
        let mut dataplane = Dataplane::open(Config {
            cgroup: self.scene.cgroup.path().to_owned(),
            pin: self.scene.pin(),
            limits: Limits { frontends: 65_536, backends: 131_072, slots: 524_288 },
            clients: 65_536,
            refuse_unknown_port: false,
            node_netns: 0,
        })
        .expect("the pinned maps");
        dataplane.apply(&steps).expect("writes");
    }

    fn explain(&self, words: &[&str]) -> Output {
        self.scene.etm(&[&["explain"], words].concat())
    }

    /// The lines for people.
    #[track_caller]
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let output = self.explain(words);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let output = self.explain(&[words, &["-o", "json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The error of a question that has no answer.
    #[track_caller]
    fn error(&self, words: &[&str]) -> String {
        let output = self.explain(words);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).expect("text").trim_end().to_owned()
    }

    fn at(&self, pod: usize) -> [SocketAddr; 2] {
        self.pods[pod].pod.at(POD_PORT)
    }
}

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

/// The Pods in the order in which a caller's position is offered to them, and the position; from
/// the names alone.
fn order(pods: usize, caller: &str) -> (Vec<usize>, u32) {
    let salt = hash("default/web");
    let header = Balancing { fields: HASH_CALLER_POD, salt, ..Balancing::default() };
    let position = position(&header, &Call { pod: hash(caller), ..Call::default() });
    let offer = |pod: &usize| {
        Offer::of(Candidate::new(hash(&format!("default/web-{pod}")), 1), position, false)
    };
    let mut order: Vec<_> = (0..pods).collect();
    order.sort_by_key(offer);
    (order, position)
}

#[test]
fn a_hash_in_words() {
    let mut stage = Stage::new(3, 1, &[hashed(&["callerPod"])]);
    let (order, position) = order(3, "default/caller-1");
    let cgroup = stage.clients[0].cgroup_id(&stage.scene);
    let [number, salt] =
        ["default/caller-1", "default/web"].map(|name| format!("{:016x}", hash(name)));
    let shown = |pod: usize| format!("default/web-{pod} at {}", stage.at(pod)[0]);
    let (first, second) = (shown(order[0]), shown(order[1]));
    let middle = [
        format!("caller      default/caller-1 at 10.250.0.1, cgroup {cgroup}"),
        format!("called      default/web:http/TCP at {VIP4}:80"),
        "callers     everyone".to_owned(),
        "balancing   hash(callerPod)".to_owned(),
        format!("field       callerPod default/caller-1, as a number {number}"),
        format!("salt        {salt}"),
        format!("position    {position} of {POSITIONS}"),
    ];
    let words = ["--from", "caller-1", "--to", "web:http"];
    let expected = [
        &[
            format!("result      {first}"),
            format!("why         of all members it ranks position {position} best"),
        ][..],
        &middle,
        &[format!("best        {first}, available")],
    ];
    assert_eq!(stage.lines(&words), expected.concat());
    let member = |pod: usize| {
        json!({
            "pod": format!("default/web-{pod}"), "address": stage.at(pod)[0], "state": "available",
            "weight": null, "connections": null, "share": null,
            "rank": order.iter().position(|other| *other == pod).expect("a rank") + 1,
        })
    };
    let mut told = stage.json(&words);
    let members = told["members"].as_array_mut().expect("members");
    members.sort_by_key(|member| member["pod"].to_string());
    let expected = json!({
        "result": "pod",
        "reason": format!("of all members it ranks position {position} best"),
        "destination": {"pod": format!("default/web-{}", order[0]), "address": stage.at(order[0])[0]},
        "errno": null,
        "caller": {
            "kind": "pod", "name": "default/caller-1", "address": "10.250.0.1", "cgroupId": cgroup,
        },
        "called": {
            "address": format!("{VIP4}:80"), "protocol": "TCP", "service": "default/web:http/TCP",
            "callers": "everyone",
        },
        "balancing": {
            "algorithm": "ConsistentHash", "fields": ["callerPod"], "weighted": false,
            "affinitySeconds": null,
        },
        "affinity": null,
        "hash": {
            "fields": [{"field": "callerPod", "value": "default/caller-1", "number": number}],
            "salt": salt, "position": position, "positions": POSITIONS,
        },
        "members": (0..3).map(member).collect::<Vec<_>>(),
        "notes": [],
    });
    assert_eq!(told, expected);

    let expected = [
        &[
            format!("result      {second}"),
            format!(
                "why         of the available members it ranks position {position} best; {first}, \
                 which ranks it best of all, is out"
            ),
        ][..],
        &middle,
        &[format!("best        {first}, out"), format!("next best   {second}, available")],
    ];
    let expected = expected.concat();
    stage.take_out(&[&format!("web-{}", order[0])]);
    assert_eq!(stage.lines(&words), expected);
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

#[test]
fn random_by_weight_in_words() {
    let scene = Scene::new();
    let weights = [1, 2, 5];
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let pods: Vec<_> = (0..3).map(|number| scene.backend(&format!("web-{number}"))).collect();
    for (backend, weight) in pods.iter().zip(weights) {
        let object = web_pod(&backend.pod)
            .set("metadata.annotations", json!({"etm.dev/weight": weight.to_string()}));
        let file = format!("{}.yaml", backend.pod.name());
        scene.manifests.apply(&file, &[object]).expect("a manifest");
    }
    let policy = policy(&json!({"weights": {"podAnnotation": true}}));
    scene.manifests.apply("policy.yaml", &[policy]).expect("a manifest");
    let agent = scene.start();
    let from = scene.client();
    let _kubepods = scene.cgroup.child("kubepods").expect("a cgroup");
    let clients = Vec::new();
    let stage = Stage { scene, pods, clients, _kubepods, from, agent: Some(agent) };
    let words = ["--from", "node", "--to", &format!("[{VIP6}]:80")];
    let mut lines = stage.lines(&words);
    lines[6..9].sort();
    let node = stage.scene.node.ipv6();
    let shares = ["12.5", "25.0", "62.5"];
    let members = (0..3).map(|pod| {
        let (address, weight, share) = (stage.at(pod)[1], weights[pod], shares[pod]);
        format!("member      default/web-{pod} at {address}, available, weight {weight}, {share}% of calls")
    });
    let expected = [
        "result      one of the members below".to_owned(),
        "why         3 available members, at random".to_owned(),
        format!("caller      node node-a at {node}"),
        format!("called      default/web:http/TCP at [{VIP6}]:80"),
        "callers     everyone".to_owned(),
        "balancing   random + weights".to_owned(),
    ];
    let note = "note        which one a call gets cannot be known before it is made".to_owned();
    let expected: Vec<_> = expected.into_iter().chain(members).chain([note]).collect();
    assert_eq!(lines, expected);
    let told = stage.json(&words);
    assert_eq!((&told["result"], &told["destination"]), (&json!("oneOf"), &Value::Null), "{told}");
    let members = told["members"].as_array().expect("members");
    let sum: f64 = members.iter().filter_map(|member| member["share"].as_f64()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{told}");

    let rows = stage.scene.get("backends");
    for (pod, weight) in weights.into_iter().enumerate() {
        let name = format!("default/web-{pod}");
        let of_pod: Vec<_> = rows.iter().filter(|row| row["pod"] == name.as_str()).collect();
        assert_eq!(of_pod.len(), 4);
        assert!(of_pod.iter().all(|row| row["weight"] == weight), "{of_pod:?}");
    }
    let table = stage.scene.etm(&["get", "backends"]);
    let text = String::from_utf8(table.stdout).expect("text");
    let header: Vec<_> = text.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["SERVICE", "ADDRESS", "POD", "STATE", "WEIGHT"]);
}

#[test]
fn least_connections_are_counted() {
    let stage = Stage::new(2, 1, &[policy(&json!({"algorithm": "LeastConnections"}))]);
    let target = SocketAddr::new(VIP4, PORT);
    let caller = stage.clients[0].caller(&stage.from, Protocol::Tcp).keep_open();
    let mut sessions: Vec<_> = (0..4).map(|_| caller.session(target).expect("a caller")).collect();
    for session in &mut sessions {
        session.call().expect("a call").answer.expect("an answer");
    }
    let told = stage.json(&["--from", "caller-1", "--to", "web:http"]);
    assert_eq!(
        told["reason"],
        "2 available members, the less loaded of two that are drawn for each call"
    );
    let counts: Vec<_> = told["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| member["connections"].as_u64().expect("a count"))
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 4, "{told}");
    let rows = stage.scene.get("backends");
    let shown = rows.iter().filter_map(|row| row["connections"].as_u64()).sum::<u64>();
    assert_eq!(shown, 4, "{rows:?}");
    let table = stage.scene.etm(&["get", "services"]);
    let text = String::from_utf8(table.stdout).expect("text");
    assert!(
        text.lines().nth(1).expect("a row").contains("  least connections  everyone"),
        "{text}"
    );
}

/// An age in seconds is what the machine makes of it.
fn without_age(line: &str) -> String {
    let words = line.split(' ').map(|word| if word.parse::<u64>().is_ok() { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_client_that_stays_in_words() {
    let service = web()
        .set("spec.sessionAffinity", "ClientIP")
        .set("spec.sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 3600}}));
    let mut stage = Stage::new(4, 1, &[]);
    stage.scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    until("its clients stay", || {
        let rows = stage.scene.get("services");
        rows.iter().all(|row| row["balancing"]["affinitySeconds"] == 3600)
    });
    let words = ["--from", "caller-1", "--to", "web:http"];
    let before = stage.json(&words);
    assert_eq!(before["affinity"], json!({"seconds": 3600, "client": "10.250.0.1", "entry": null}));
    assert_eq!(before["result"], "oneOf");

    let caller = stage.clients[0].caller(&stage.from, Protocol::Tcp);
    let call = caller.call(SocketAddr::new(VIP4, PORT)).expect("a call");
    let name = call.pod().expect("a Pod").to_owned();
    let pod = stage.pods.iter().position(|backend| backend.pod.name() == name).expect("a Pod");
    let shown = format!("default/{name} at {}", stage.at(pod)[0]);
    let cgroup = stage.clients[0].cgroup_id(&stage.scene);
    let mut lines = stage.lines(&words);
    lines[6] = without_age(&lines[6]);
    let expected = [
        format!("result      {shown}"),
        "why         its client was given it and stays for 3600 s".to_owned(),
        format!("caller      default/caller-1 at 10.250.0.1, cgroup {cgroup}"),
        format!("called      default/web:http/TCP at {VIP4}:80"),
        "callers     everyone".to_owned(),
        "balancing   random + affinity 3600s".to_owned(),
        format!("affinity    client 10.250.0.1 was sent to {shown}, N s ago"),
    ];
    assert_eq!(lines, expected);

    stage.take_out(&[&name]);
    let after = stage.json(&words);
    assert_eq!(after["affinity"]["entry"]["verdict"], "out", "{after}");
    assert_eq!(after["result"], "oneOf", "{after}");
    let lines = stage.lines(&words);
    assert!(lines[6].ends_with("s ago, but it is out"), "{lines:?}");
}

#[test]
fn refusals_and_calls_that_pass_in_words() {
    let balanced = "203.0.113.1";
    let empty = objects::Service::new("empty", &["10.96.0.20".parse().expect("an address")])
        .port("", "TCP", 443, 443);
    let guarded = web()
        .set("spec.type", "LoadBalancer")
        .set("spec.loadBalancerSourceRanges", vec!["10.250.0.1/32"])
        .set("status.loadBalancer.ingress", json!([{"ip": balanced}]));
    let stage = Stage::new(1, 2, &[empty.into()]);
    stage.scene.manifests.apply("web.yaml", &[guarded]).expect("a manifest");
    until("it has ranges", || stage.scene.get("services").len() == 7);
    let node = stage.scene.node.ipv4();
    assert_eq!(
        stage.lines(&["--from", "node", "--to", "empty"]),
        [
            "result      refused",
            "why         Connection refused (os error 111): it has no members",
            &format!("caller      node node-a at {node}"),
            "called      default/empty/TCP at 10.96.0.20:443",
            "callers     everyone",
            "balancing   random",
        ]
    );
    let at = format!("{balanced}:80");
    let admitted = stage.json(&["--from", "caller-1", "--to", &at]);
    assert_eq!(
        (&admitted["result"], &admitted["called"]["callers"]),
        (&json!("pod"), &json!("10.250.0.1/32"))
    );
    assert_eq!(admitted["reason"], "it is the only available member");
    let excluded = stage.json(&["--from", "caller-2", "--to", &at]);
    assert_eq!((&excluded["result"], &excluded["errno"]), (&json!("refused"), &json!(111)));
    assert_eq!(
        excluded["reason"],
        "Connection refused (os error 111): 10.250.0.2 is in no range of its callers"
    );
    let unknown = stage.json(&["--from", "unknown", "--to", &at]);
    assert_eq!(unknown["result"], "refused");
    // By its name the Service is at the address that is for everyone.
    let named = stage.json(&["--from", "caller-2", "--to", "web:80"]);
    assert_eq!(named["called"]["address"], format!("{VIP4}:80"));

    let words = ["--from", "node", "--to", &format!("{VIP4}:81")];
    assert_eq!(
        stage.lines(&words),
        [
            "result      left alone",
            &format!(
                "why         {VIP4}:81/TCP is not a Service's, so it is left alone; Services have 80/TCP, \
             80/UDP of {VIP4}"
            ),
            &format!("caller      node node-a at {node}"),
            &format!("called      {VIP4}:81/TCP"),
        ]
    );
    let expected = json!({
        "result": "passes",
        "reason": "198.51.100.1:53/UDP is not a Service's, so it is left alone",
        "destination": null, "errno": null,
        "caller": {"kind": "unknown", "name": "", "address": null, "cgroupId": null},
        "called": {
            "address": "198.51.100.1:53", "protocol": "UDP", "service": null, "callers": null,
        },
        "balancing": null, "affinity": null, "hash": null, "members": [], "notes": [],
    });
    assert_eq!(stage.json(&["--from", "unknown", "--to", "198.51.100.1:53/UDP"]), expected);
}

#[test]
fn a_port_that_no_service_has_is_refused_where_that_is_asked_for() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let agent = scene.agent().arg("--unknown-port").arg("refuse").start().expect("an agent");
    let output =
        scene.etm(&["explain", "--from", "node", "--to", &format!("{VIP4}:81"), "-o", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["result"], &told["errno"]), (&json!("refused"), &json!(111)));
    drop(agent);
}

#[test]
fn mistakes_name_what_there_is() {
    let other = objects::Service::new("db", &["10.96.0.30".parse().expect("an address")])
        .namespace("shop")
        .port("sql", "TCP", 5432, 5432)
        .port("admin", "TCP", 9090, 9090)
        .port("stats", "UDP", 8125, 8125);
    let stage = Stage::new(1, 2, &[other.into()]);
    let error = |from: &str, to: &str| stage.error(&["--from", from, "--to", to]);
    assert_eq!(
        error("shop/cart", "web:http"),
        "error: --from: this node has no Pod shop/cart: there are default/caller-1, \
         default/caller-2; ask on the node where it runs, or give node or unknown"
    );
    assert_eq!(
        error("node", "shop/dbs"),
        "error: --to: there is no Service shop/dbs in the maps: there are shop/db, default/web; \
         etm get services lists them all"
    );
    assert_eq!(
        error("node", "shop/db"),
        "error: --to: Service shop/db has several ports: name one of admin (9090/TCP), sql \
         (5432/TCP), as shop/db:sql"
    );
    let has = "it has admin (9090/TCP), sql (5432/TCP), stats (8125/UDP)";
    assert_eq!(
        error("node", "shop/db:80"),
        format!("error: --to: Service shop/db has no port 80: {has}")
    );
    assert_eq!(
        error("node", "shop/db:sql/UDP"),
        format!("error: --to: Service shop/db has no port sql of UDP: {has}")
    );
    let family = stage.error(&["--from", "node", "--to", "shop/db:sql", "--family", "6"]);
    assert_eq!(
        family,
        "error: --family: Service shop/db has no address of that family; leave it away"
    );
    let form = error("node", "10.96.0.10");
    assert!(form.contains("an address needs a port, as 10.96.0.10:80"), "{form}");
    // The only port of a protocol needs no name.
    let only = stage.json(&["--from", "node", "--to", "shop/db/UDP"]);
    assert_eq!(only["called"]["service"], "shop/db:stats/UDP");
    // TCP goes first.
    let first = stage.json(&["--from", "caller-2", "--to", "web"]);
    assert_eq!(first["called"]["service"], "default/web:http/TCP");
    assert_eq!(VIPS[0], VIP4);
}
