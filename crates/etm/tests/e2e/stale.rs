//! Sockets that still point at a Pod that is gone or ejected are ended, and no others.

use std::net::{IpAddr, SocketAddr};

use etm_dataplane::View;
use etm_model::from_abi;
use etm_testkit::wait::until_logged;
use etm_testkit::{Call, Pod, Protocol, Session, objects};
use serde_json::{Value, json};

use crate::scene::{LANGUAGES, POD_PORT, PORT, Scene, VIP4, VIPS, web_pod};

/// `ENOTCONN`: what `getpeername()` says of a socket that was ended.
const ENDED: Option<i32> = Some(107);
/// `ECONNABORTED`: what a call that uses the socket says of it first.
const ABORTED: Option<i32> = Some(103);

const GONE: &str = "ended sockets to a Pod that is gone";
const EJECTED: &str = "ended sockets to a Pod that is ejected";

/// A socket that was connected and has been answered, by which Pod.
fn connected(scene: &Scene, client: &Pod, to: SocketAddr, protocol: Protocol) -> (Session, String) {
    let caller = scene.caller(client, protocol).keep_open();
    let mut session = caller.session(to).expect("a session");
    let pod = session.call().expect("a call").pod().expect("an answer").to_owned();
    (session, pod)
}

/// The socket is the same, and its Pod answers.
#[track_caller]
fn assert_kept(session: &mut Session, pod: &str) {
    let call = session.call().expect("a call");
    assert_eq!((call.pod(), call.connect_us), (Some(pod), None), "{call:?}");
}

#[track_caller]
fn assert_ended(call: &Call) {
    assert!([ENDED, ABORTED].contains(&call.errno), "{call:?}");
}

/// The policy of a Service, by whose status a Pod is out or not.
fn set_policy(scene: &Scene, service: &str, stale: &Value, out: Option<&str>) {
    let ejected = out.map(|pod| {
        json!({"pod": pod, "monitor": "errors", "message": "3 > 0", "since": "2026-01-01T00:00:00Z"})
    });
    let query = json!({"query": "errors", "operator": "GreaterThan", "threshold": "0"});
    let policy = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": service, "namespace": "default"},
        "spec": {
            "targetRef": {"name": service},
            "staleConnections": stale,
            "monitors": [{"name": "errors", "prometheus": query}],
        },
        "status": {"ejected": Vec::from_iter(ejected)},
    });
    scene.manifests.apply(&format!("policy-{service}.yaml"), &[policy]).expect("a manifest");
}

/// Connections to a Pod that count as reset.
fn resets(scene: &Scene, pod: &Pod) -> u32 {
    let view = View::open(&scene.pin()).expect("maps");
    let backends = view.contents().expect("contents").backends;
    let its = backends.iter().filter(|(_, record)| from_abi(&record.address) == pod.ipv4());
    its.map(|(id, _)| view.outcomes(*id).expect("outcomes").reset).sum()
}

#[test]
fn connected_udp_to_a_pod_that_is_gone_is_ended_in_every_runtime() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1", "web-2"]);
    let client = scene.client();
    let agent = scene.start();
    for language in LANGUAGES {
        for ip in VIPS {
            let caller = scene.caller(&client, Protocol::UdpConnected).keep_open();
            let caller =
                if ip == VIP4 && language == LANGUAGES[0] { caller.mapped() } else { caller };
            let target = SocketAddr::new(ip, PORT);
            let mut session = caller.language(language).session(target).expect("a session");
            let before = session.call().expect("a call").pod().expect("an answer").to_owned();
            let told = agent.stderr().matches(GONE).count();
            scene.withdraw(&before);
            etm_testkit::wait::until("it is ended", || agent.stderr().matches(GONE).count() > told);
            assert_ended(&session.call().expect("a call"));
            // Its owner connects anew, and gets another Pod.
            let after = session.call().expect("a call");
            assert!(after.pod().is_some_and(|pod| pod != before), "{after:?}");
            let pod = pods.iter().find(|backend| backend.pod.name() == before).expect("a Pod");
            scene.declare(&pod.pod, true);
            scene.until_web_has(3);
        }
    }
}

#[test]
fn nothing_but_what_a_service_led_there_is_ended() {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    let stays = scene.backend("web-1");
    let other: IpAddr = "10.96.0.11".parse().expect("an address");
    let second = objects::Service::new("second", &[other])
        .port("http", "TCP", PORT, POD_PORT)
        .port("echo", "UDP", PORT, POD_PORT)
        .selector("app", "web");
    scene.manifests.apply("services.yaml", &[crate::scene::web(), second]).expect("manifests");
    for pod in [&backend.pod, &stays.pod] {
        scene.declare(pod, true);
    }
    set_policy(&scene, "second", &json!({"udp": "Keep"}), None);
    let client = scene.client();
    let agent = scene.start();
    let web = SocketAddr::new(VIP4, PORT);
    // Both of the Pods, by as many sockets as it takes.
    let mut led: Vec<_> =
        (0..20).map(|_| connected(&scene, &client, web, Protocol::UdpConnected)).collect();
    let mut tcp: Vec<_> = (0..20).map(|_| connected(&scene, &client, web, Protocol::Tcp)).collect();
    let kept = SocketAddr::new(other, PORT);
    let mut others: Vec<_> =
        (0..20).map(|_| connected(&scene, &client, kept, Protocol::UdpConnected)).collect();
    let direct = backend.pod.at(POD_PORT)[0];
    let (mut direct, _) = connected(&scene, &client, direct, Protocol::UdpConnected);

    scene.withdraw("web-0");
    until_logged(&agent, &[GONE, "UDP"]);
    for (session, pod) in &mut led {
        if pod == "web-0" {
            assert_ended(&session.call().expect("a call"));
        } else {
            assert_kept(session, pod);
        }
    }
    for (session, pod) in tcp.iter_mut().chain(&mut others) {
        assert_kept(session, pod);
    }
    assert_kept(&mut direct, "web-0");
    assert!(!agent.stderr().contains("TCP"), "{}", agent.stderr());
}

#[test]
fn sockets_to_a_pod_that_is_ejected_are_ended_as_the_policy_says() {
    for (stale, protocol, other) in [
        (json!({"tcp": "End", "udp": "Keep"}), Protocol::Tcp, Protocol::UdpConnected),
        (json!({}), Protocol::UdpConnected, Protocol::Tcp),
    ] {
        let scene = Scene::new();
        let backends = scene.web(&["web-0"]);
        set_policy(&scene, "web", &stale, None);
        let client = scene.client();
        let agent = scene.start();
        let web = SocketAddr::new(VIP4, PORT);
        let (mut ended, _) = connected(&scene, &client, web, protocol);
        let (mut kept, _) = connected(&scene, &client, web, other);
        scene.declare(&scene.backend("web-1").pod, true);
        scene.until_web_has(2);
        set_policy(&scene, "web", &stale, Some("web-0"));
        until_logged(&agent, &[EJECTED]);
        assert_ended(&ended.call().expect("a call"));
        assert_kept(&mut kept, "web-0");
        // That it was ended says nothing of the Pod.
        assert_eq!(resets(&scene, &backends[0].pod), 0);
    }
}

#[test]
fn a_pod_that_still_serves_while_it_terminates_keeps_its_sockets() {
    let scene = Scene::new();
    let backends = scene.web(&["web-0"]);
    let client = scene.client();
    let agent = scene.start();
    let (mut session, _) =
        connected(&scene, &client, SocketAddr::new(VIP4, PORT), Protocol::UdpConnected);
    let other = scene.backend("web-1");
    scene.declare(&other.pod, true);
    scene.until_web_has(2);
    let mut terminating: Value = web_pod(&backends[0].pod).into();
    terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    scene.manifests.apply("pod-web-0.yaml", &[terminating]).expect("a manifest");
    scene.until_web_has(1);
    assert_kept(&mut session, "web-0");
    scene.withdraw("web-0");
    until_logged(&agent, &[GONE]);
    assert_ended(&session.call().expect("a call"));
}

#[test]
fn what_became_stale_while_no_agent_ran_is_ended_at_the_start() {
    let scene = Scene::new();
    let _backends = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.start();
    let (mut session, pod) =
        connected(&scene, &client, SocketAddr::new(VIP4, PORT), Protocol::UdpConnected);
    agent.stop().expect("it stops");
    scene.withdraw(&pod);
    assert_kept(&mut session, &pod);
    let agent = scene.start();
    until_logged(&agent, &[GONE]);
    assert_ended(&session.call().expect("a call"));
}

#[test]
fn without_the_right_to_it_this_is_told_and_nothing_is_ended() {
    let scene = Scene::new();
    let _backends = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let words = ["setpriv", "--bounding-set=-sys_admin"];
    let agent = scene.agent().through(words).start().expect("an agent");
    until_logged(&agent, &["stale sockets", "no permission", "CAP_SYS_ADMIN"]);
    let web = SocketAddr::new(VIP4, PORT);
    let (mut session, pod) = connected(&scene, &client, web, Protocol::UdpConnected);
    // A process of the node, whose network the agent is in, needs no right.
    let own = scene.node.place().within(&scene.cgroup);
    let own = etm_testkit::Caller::new(&own, Protocol::UdpConnected).keep_open();
    let mut sessions: Vec<_> = (0..20).map(|_| own.session(web).expect("a session")).collect();
    let pods: Vec<_> = sessions.iter_mut().map(|session| session.call().expect("a call")).collect();
    scene.withdraw(&pod);
    until_logged(&agent, &[GONE]);
    for (session, call) in sessions.iter_mut().zip(&pods) {
        let now = session.call().expect("a call");
        if call.pod() == Some(&*pod) {
            assert_ended(&now);
        } else {
            assert_eq!(now.pod(), call.pod());
        }
    }
    assert_kept(&mut session, &pod);
}

#[test]
fn an_agent_that_is_told_to_keep_them_does() {
    let scene = Scene::new();
    let _backends = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.agent().arg("--stale-connections").arg("keep").start().expect("an agent");
    let (mut session, pod) =
        connected(&scene, &client, SocketAddr::new(VIP4, PORT), Protocol::UdpConnected);
    scene.withdraw(&pod);
    scene.until_web_has(1);
    // Longer than both passes would take.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_kept(&mut session, &pod);
    assert!(!agent.stderr().contains("ended sockets"));
}
