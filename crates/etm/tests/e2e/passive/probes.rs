//! Probes, asked by the agent of real servers: who answers calls and fails them is out as well.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_OUT};
use etm_testkit::wait::until;
use etm_testkit::{Place, Pod};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tonic::codegen::Service as _;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::{callers, calls, record, set_policy};
use crate::scene::{PORT, Scene, VIP4};

/// Where Pods answer probes; calls are answered elsewhere.
const PROBED: u16 = 9090;
/// Between two looks at whether a server is to be well.
const STEP: Duration = Duration::from_millis(20);

/// What answers probes in a Pod; ends with this.
struct Probed {
    well: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probed {
    fn start(pod: &Pod, kind: &str) -> Self {
        let (well, over) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicBool>::default());
        let flags = (Arc::clone(&well), Arc::clone(&over));
        let place = pod.place();
        let thread = match kind {
            "tcp" => spawn(move || listen(&place, &flags.0, &flags.1)),
            "http" => spawn(move || answer(&place, &flags.0, &flags.1)),
            _ => spawn(move || serve_health(&place, &flags.0, &flags.1)),
        };
        Self { well, over, thread: Some(thread) }
    }

    fn set_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn bind(place: &Place) -> TcpListener {
    let listener = place.in_network(|| TcpListener::bind(("0.0.0.0", PROBED)));
    let listener = listener.expect("a listener");
    listener.set_nonblocking(true).expect("a listener that does not block");
    listener
}

/// Listens as long as it is well.
fn listen(place: &Place, well: &AtomicBool, over: &AtomicBool) {
    let mut listener = None;
    while !over.load(Ordering::Relaxed) {
        if well.load(Ordering::Relaxed) {
            drop(listener.get_or_insert_with(|| bind(place)).accept());
        } else {
            listener = None;
        }
        sleep(STEP);
    }
}

/// Answers `/healthz` with 200 as long as it is well, and with 503 else.
fn answer(place: &Place, well: &AtomicBool, over: &AtomicBool) {
    let listener = bind(place);
    while !over.load(Ordering::Relaxed) {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(STEP);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        stream.set_nonblocking(false).expect("a stream that blocks");
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap_or(0);
        let asked = request[..length].starts_with(b"GET /healthz HTTP/1.1\r\n");
        let good = asked && well.load(Ordering::Relaxed);
        let status = if good { "200 OK" } else { "503 Service Unavailable" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
    }
}

/// gRPC's health service, which says of `shop` whether it is well.
fn serve_health(place: &Place, well: &AtomicBool, over: &AtomicBool) {
    let listener = bind(place);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (reporter, server) = health_reporter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        while !over.load(Ordering::Relaxed) {
            let status = if well.load(Ordering::Relaxed) {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            reporter.set_service_status("shop", status).await;
            let Ok(accepted) = tokio::time::timeout(STEP, listener.accept()).await else {
                continue;
            };
            let (stream, _) = accepted.expect("a stream");
            let server = server.clone();
            let service = service_fn(move |request| server.clone().call(request));
            let serving = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    });
}

fn probed_by(kind: &str, probe: &Value) {
    let scene = Scene::new();
    let backends = scene.web(&["a", "b"]);
    let servers = backends.iter().map(|backend| Probed::start(&backend.pod, kind));
    let servers: Vec<_> = servers.collect();
    let mut asked = probe.clone();
    asked["port"] = json!(PROBED);
    let mut probe = json!({
        "interval": "1s", "timeout": "500ms", "unhealthyThreshold": 2, "healthyThreshold": 2,
    });
    probe[kind] = asked;
    set_policy(&scene, &json!({"health": {"probe": probe, "passive": {"enabled": false}}}));
    let _agent = scene.start();
    let [good, bad] = [0, 1].map(|at| record(&scene, &backends[at].pod));
    assert_eq!([good.state, bad.state], [BACKEND_AVAILABLE; 2]);

    servers[1].set_well(false);
    let pod = &backends[1].pod;
    until(&format!("{kind}: it is out"), || record(&scene, pod).state == BACKEND_OUT);
    let told = |row: &Value| {
        let reason = row["reason"].as_str().unwrap_or_default();
        row["pod"] == "default/b" && reason.contains("probes in a row failed")
    };
    until("the reason is told", || scene.get("ejections").iter().any(told));
    let served = calls(&scene, &callers(&scene), (VIP4, PORT).into(), 20);
    assert!(served.iter().all(|call| call.answer.as_ref().is_some_and(|from| from.pod == "a")));

    servers[1].set_well(true);
    until(&format!("{kind}: it is back"), || record(&scene, pod).state == BACKEND_AVAILABLE);
    assert_eq!(record(&scene, &backends[0].pod).state, BACKEND_AVAILABLE);
}

#[test]
fn one_that_accepts_no_connection_is_out() {
    probed_by("tcp", &json!({}));
}

#[test]
fn one_that_answers_with_an_error_is_out() {
    probed_by("http", &json!({"path": "/healthz"}));
}

#[test]
fn one_whose_service_does_not_serve_is_out() {
    probed_by("grpc", &json!({"service": "shop"}));
}
