//! UDP Pods that do not reply, and clients of which that cannot be said.

use std::time::Duration;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, PROTOCOL_UDP};
use etm_testkit::wait::until;
use etm_testkit::{Call, Pod, Protocol};
use serde_json::json;

use super::{LIMIT, callers, failures::drop_all, seen, set_policy};
use crate::scene::{PORT, Scene, VIP4};

const BOTH: [Protocol; 2] = [Protocol::UdpConnected, Protocol::UdpUnconnected];

/// Replies are expected within a fifth of a second.
fn expect_replies(scene: &Scene) {
    let passive = json!({"repliesExpected": true, "replyTimeout": "200ms"});
    let probation = json!({"interval": "100ms", "successes": 2});
    set_policy(
        scene,
        &json!({"health": {"passive": passive, "ejectionTime": "3s", "probation": probation}}),
    );
}

/// Calls from each Pod in turn, each of a socket of its own that waits for so long.
fn failed(scene: &Scene, callers: &[Pod], way: Protocol, wait: u64, count: usize) -> usize {
    let call = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], way);
        let caller = caller.timeout(Duration::from_millis(wait));
        caller.call((VIP4, PORT).into()).expect("a call")
    };
    (0..count).map(call).filter(|call: &Call| !call.answered()).count()
}

#[test]
fn one_that_does_not_reply_is_out_and_returns() {
    for way in BOTH {
        let scene = Scene::new();
        let backends = scene.web(&["a", "b"]);
        expect_replies(&scene);
        let _agent = scene.start();
        let (pod, callers) = (&backends[1].pod, callers(&scene));
        drop_all(pod);
        let (mut made, mut lost) = (0, 0);
        until("it is out", || {
            made += 2;
            lost += failed(&scene, &callers, way, 400, 2);
            seen(&scene, pod, PROTOCOL_UDP).0.state == BACKEND_EJECTED
        });
        assert!((LIMIT..=LIMIT + 2).contains(&lost), "{way:?}: {lost}");
        let (_, outcomes) = seen(&scene, pod, PROTOCOL_UDP);
        assert_eq!((outcomes.timed_out as usize, outcomes.refused), (lost, 0), "{way:?}");
        let (other, outcomes) = seen(&scene, &backends[0].pod, PROTOCOL_UDP);
        assert_eq!((other.failures, outcomes.timed_out), (0, 0), "{way:?}");
        assert_eq!(outcomes.established as usize, made - lost, "{way:?}");
        let heal = pod.command("nft").args(["delete", "table", "inet", "deaf"]).status();
        assert!(heal.expect("nft runs").success());
        until("it is back", || {
            failed(&scene, &callers, way, 400, 1);
            seen(&scene, pod, PROTOCOL_UDP).0.state == BACKEND_AVAILABLE
        });
    }
}

#[test]
fn a_socket_that_goes_on_sending_in_vain_is_sent_elsewhere() {
    let scene = Scene::new();
    let backends = scene.web(&["a", "b"]);
    expect_replies(&scene);
    let _agent = scene.start();
    let pod = &backends[1].pod;
    drop_all(pod);
    let target = (VIP4, PORT).into();
    let callers = callers(&scene);
    let session = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], Protocol::UdpUnconnected);
        let caller = caller.keep_open().timeout(Duration::from_millis(300));
        caller.session(target).expect("a session")
    };
    let mut sessions = Vec::new();
    // Failures enough, and of both callers.
    let mut unanswered = [0; 2];
    while unanswered.iter().any(|count| *count < 3) {
        let at = sessions.len();
        assert!(at < 100, "{unanswered:?} of {at}");
        let mut session = session(at);
        unanswered[at % 2] += u8::from(!session.call().expect("a call").answered());
        sessions.push(session);
    }
    until("every socket is answered", || {
        let calls = sessions.iter_mut().map(|session| session.call().expect("a call"));
        calls.filter(Call::answered).count() == sessions.len()
    });
    assert_eq!(seen(&scene, pod, PROTOCOL_UDP).0.state, BACKEND_EJECTED);
}

#[test]
fn what_a_client_gives_up_sooner_does_not_count() {
    for way in BOTH {
        let scene = Scene::new();
        let backends = scene.web(&["a"]);
        set_policy(
            &scene,
            &json!({"health": {"passive": {"repliesExpected": true, "replyTimeout": "20s"}}}),
        );
        let _agent = scene.start();
        drop_all(&backends[0].pod);
        assert_eq!(failed(&scene, &callers(&scene), way, 100, 20), 20);
        let (record, outcomes) = seen(&scene, &backends[0].pod, PROTOCOL_UDP);
        assert_eq!((record.failures, outcomes), (0, etm_abi::Outcomes::default()), "{way:?}");
    }
}

/// Sends and reads without asking from whom, then waits longer than replies are expected within,
/// and does so again on the same socket. The first argument says whether it is connected, the
/// second whether the kernel is to tell when datagrams came.
const READS: &str = "
import socket, sys, time
connected, timed, target = sys.argv[1] == 'True', sys.argv[2] == 'True', (sys.argv[3], int(sys.argv[4]))
for _ in range(6):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if timed:
        s.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
    if connected:
        s.connect(target)
    for _ in range(2):
        s.send(b'1') if connected else s.sendto(b'1', target)
        assert s.recv(100)
        time.sleep(0.25)
    s.close()
";

#[test]
fn whoever_reads_without_asking_from_whom_takes_it_from_nobody() {
    for (connected, timed) in [(false, false), (false, true), (true, false), (true, true)] {
        let scene = Scene::new();
        let backends = scene.web(&["a", "b"]);
        expect_replies(&scene);
        let _agent = scene.start();
        for client in callers(&scene) {
            let status = scene
                .inside(&client)
                .command("python3")
                .args(["-c", READS, if connected { "True" } else { "False" }])
                .args([if timed { "True" } else { "False" }, &VIP4.to_string(), &PORT.to_string()])
                .status();
            assert!(status.expect("python runs").success());
        }
        let both = backends.iter().map(|backend| seen(&scene, &backend.pod, PROTOCOL_UDP));
        let mut answered = 0;
        for (record, outcomes) in both {
            let told = (record.state, record.failures, outcomes.timed_out, outcomes.refused);
            assert_eq!(told, (BACKEND_AVAILABLE, 0, 0, 0), "{connected} {timed}");
            answered += outcomes.established;
        }
        // A connected socket says so by itself that something was read.
        assert_eq!(answered, if connected && !timed { 12 } else { 0 });
    }
}
