//! What the agent says of itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::scene::{Scene, addresses, slice};
use etm_testkit::wait::until;

/// The answer to a request of an admin server, head and body.
fn request(admin: SocketAddr, path: &str) -> String {
    ask(TcpStream::connect(admin).expect("an admin server"), path)
}

/// The answer of who is connected.
pub(crate) fn ask(mut stream: TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The answer to a body that is posted, head and body.
pub(crate) fn post_at(address: SocketAddr, path: &str, authorization: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close");
    let length = body.len();
    let request = format!(
        "{head}\r\nauthorization: {authorization}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A page of the admin server.
pub(crate) fn page(scene: &Scene, path: &str) -> String {
    page_at(scene.admin, path)
}

/// A page of the admin server at an address.
pub(crate) fn page_at(admin: SocketAddr, path: &str) -> String {
    let answer = request(admin, path);
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// A page of an admin server that may not be there yet.
pub(crate) fn try_page(admin: SocketAddr, path: &str) -> Option<String> {
    let answer = ask(TcpStream::connect(admin).ok()?, path);
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// The HTTP status of a page.
pub(crate) fn status(scene: &Scene, path: &str) -> u16 {
    status_at(scene.admin, path)
}

/// Waits until an agent has listed everything: it says "ready" after 5 s at the latest, whatever a slow
/// API server has not answered by then.
#[track_caller]
pub(crate) fn until_ready(scene: &Scene) {
    until("everything is listed", || status(scene, "/readyz") == 200);
}

/// The HTTP status of a page at an address.
pub(crate) fn status_at(admin: SocketAddr, path: &str) -> u16 {
    let answer = request(admin, path);
    answer.split(' ').nth(1).expect("a status").parse().expect("a number")
}

/// The value of a metric with its labels.
pub(crate) fn value(scene: &Scene, metric: &str) -> Option<f64> {
    value_at(scene.admin, metric)
}

/// The value of a metric with its labels, at an address.
pub(crate) fn value_at(admin: SocketAddr, metric: &str) -> Option<f64> {
    let page = page_at(admin, "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

const PROGRAMMED: &str = "etm_network_programming_duration_seconds_count";
const CHANGED: &str = "etm_change_duration_seconds_count";

#[test]
fn probes_and_pages() {
    let scene = Scene::new();
    let _agent = scene.agent().start().expect("an agent");
    until_ready(&scene);
    for path in ["/livez", "/healthz", "/readyz", "/metrics", "/problems"] {
        assert_eq!(status(&scene, path), 200, "{path}");
    }
    assert_eq!(status(&scene, "/"), 404);
    assert!(page(&scene, "/metrics").ends_with("# EOF\n"));
}

#[test]
fn the_latency_of_changes_without_the_first_list() {
    const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";
    let scene = Scene::alone();
    let web = scene.service("web");
    let at = |time: &str, count: u8| {
        let mut object: Value = slice("web-1", "web", &addresses(count)).into();
        object["metadata"]["annotations"][TRIGGERED] = time.into();
        scene.apply(object);
    };
    let now = || k8s_openapi::jiff::Timestamp::now();
    at(&now().to_string(), 1);
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(1));
    assert_eq!(value(&scene, PROGRAMMED), Some(0.0));
    assert_eq!(value(&scene, CHANGED), Some(0.0));

    let trigger = now();
    at(&trigger.to_string(), 2);
    until("it is measured", || value(&scene, PROGRAMMED) == Some(1.0));
    let sum = value(&scene, "etm_network_programming_duration_seconds_sum").expect("a sum");
    let most = now().duration_since(trigger).as_secs_f64();
    assert!(sum > 0.0 && sum <= most, "{sum} of at most {most}");

    // A change of something else leaves the trigger as it was.
    at(&trigger.to_string(), 3);
    until("it is measured", || value(&scene, CHANGED) == Some(2.0));
    assert_eq!(value(&scene, PROGRAMMED), Some(1.0));
    scene.delete("endpointslices", "web-1");
    until("it is measured", || value(&scene, CHANGED) == Some(3.0));
    assert_eq!(value(&scene, PROGRAMMED), Some(1.0));
}

#[test]
fn a_clock_that_is_wrong() {
    const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";
    let scene = Scene::alone();
    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(1));
    let at = |time: &str, count: u8| {
        let mut object: Value = slice("web-1", "web", &addresses(count)).into();
        object["metadata"]["annotations"][TRIGGERED] = time.into();
        scene.apply(object);
        scene.until_members(web, Some(count.into()));
    };
    // The control plane's clock is ahead, then it is far behind, then it tells nonsense.
    at("2126-01-01T00:00:00Z", 2);
    until("it is counted", || value(&scene, "etm_network_programming_skewed_total") == Some(1.0));
    assert_eq!(value(&scene, PROGRAMMED), Some(0.0));
    at("1996-01-01T00:00:00Z", 3);
    until("it is measured", || value(&scene, PROGRAMMED) == Some(1.0));
    at("half past nine", 4);
    until("it is counted", || value(&scene, CHANGED) == Some(3.0));
    assert_eq!(value(&scene, PROGRAMMED), Some(1.0));
    let age = value(&scene, r#"etm_watch_last_event_age_seconds{watch="endpointslices"}"#);
    assert!(age.is_some_and(|age| age >= 0.0), "{age:?}");
}

#[test]
fn what_the_watches_cost() {
    let scene = Scene::new();
    let web = scene.service("web");
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(0));
    for watch in ["services", "endpointslices", "node"] {
        let of = |metric: &str| value(&scene, &format!("{metric}{{watch=\"{watch}\"}}"));
        assert_eq!(of("etm_watch_lists_total"), Some(1.0), "{watch}");
        assert!(of("etm_watch_received_bytes_total") > Some(0.0), "{watch}");
        assert!(of("etm_watch_last_event_age_seconds") >= Some(0.0), "{watch}");
    }
}

/// What is told at `/problems`, but for what is wrong with objects of tests that run beside this one:
/// those of other namespaces, and monitors of nodes, which are of none.
pub(crate) fn own_problems(scene: &Scene) -> Vec<Value> {
    let problems: Vec<Value> =
        serde_json::from_str(&page(scene, "/problems")).expect("a list of JSON");
    let of_others = |problem: &Value| {
        let object = problem["object"].as_str().unwrap_or_default();
        let named = object.split_once(' ').and_then(|(_, name)| name.split_once('/'));
        let elsewhere = named.is_some_and(|(namespace, _)| namespace != scene.namespace);
        elsewhere || object.starts_with("NodeMonitor ")
    };
    problems.into_iter().filter(|problem| !of_others(problem)).collect()
}
