//! The API server goes away and comes back; the data path does not notice.

use std::net::{IpAddr, SocketAddr};

use etm_testkit::{Call, Caller};

use crate::metrics;
use crate::proxy::{Fault, Proxy};
use crate::scene::{Scene, addresses, slice};
use etm_testkit::wait::until_logged;

#[track_caller]
fn served(caller: &Caller, target: SocketAddr) {
    let call: Call = caller.call(target).expect("a call");
    assert!(call.answered() && call.error.is_none(), "{call:?}");
}

#[test]
fn it_stops_and_comes_back() {
    let scene = Scene::alone();
    let backend = scene.backend("web-0");
    let (_client, caller) = scene.caller();
    let web = scene.service("web");
    let gone = scene.service("gone");
    scene.slice("web-1", "web", &[IpAddr::V4(backend.pod.ipv4())]);
    let agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(1));
    served(&caller, web);

    scene.cluster.kill_api_server().expect("an end");
    until_logged(&agent, &["WARN", "watch of endpointslices"]);
    served(&caller, web);
    assert_eq!(scene.members(gone), Some(0));

    scene.cluster.start_api_server().expect("a start");
    scene.delete("services", "gone");
    scene.until_members(gone, None);
    let later = scene.service("later");
    scene.until_members(later, Some(0));
    scene.slice("later-1", "later", &addresses(2));
    scene.until_members(later, Some(2));
    until_logged(&agent, &["mended", "watch of endpointslices"]);
    served(&caller, web);
}

#[test]
fn it_comes_back_without_its_history() {
    let scene = Scene::alone();
    let web = scene.service("web");
    let gone = scene.service("gone");
    scene.slice("web-1", "web", &addresses(2));
    scene.slice("web-2", "web", &addresses(3));
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(3));
    assert_eq!(scene.members(gone), Some(0));
    // What happens now is compacted away before the agent can ask for it.
    proxy.cut(Fault::Status(503));
    until_logged(&agent, &["WARN", "watch of endpointslices"]);
    scene.delete("endpointslices", "web-2");
    scene.delete("services", "gone");
    scene.cluster.kill_api_server().expect("an end");
    scene.cluster.compact().expect("a compaction");
    scene.cluster.start_api_server().expect("a start");
    proxy.fault(Fault::None);
    scene.until_members(web, Some(2));
    scene.until_members(gone, None);
    let refused = r#"etm_watch_errors_total{watch="endpointslices",cause="410"}"#;
    assert!(metrics::value(&scene, refused) >= Some(1.0));
    scene.apply(slice("web-1", "web", &addresses(1)).into());
    scene.until_members(web, Some(1));
}

#[test]
fn an_agent_starts_while_it_is_down() {
    let scene = Scene::alone();
    let backend = scene.backend("web-0");
    let (_client, caller) = scene.caller();
    let web = scene.service("web");
    let gone = scene.service("gone");
    scene.slice("web-1", "web", &[IpAddr::V4(backend.pod.ipv4())]);
    let agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(1));
    agent.stop().expect("an end");
    scene.delete("services", "gone");
    scene.cluster.kill_api_server().expect("an end");

    let agent = scene.agent().start().expect("an agent");
    assert!(agent.ready_line().contains("0 removed"), "{}", agent.ready_line());
    assert!(agent.stderr().contains("incomplete: the API server"), "{}", agent.stderr());
    assert_eq!(metrics::status(&scene, "/readyz"), 503);
    assert_eq!(metrics::status(&scene, "/livez"), 200);
    served(&caller, web);
    assert_eq!(scene.members(gone), Some(0));

    scene.cluster.start_api_server().expect("a start");
    scene.until_members(gone, None);
    served(&caller, web);
    until_logged(&agent, &["INFO", "complete: "]);
    assert_eq!(metrics::status(&scene, "/readyz"), 200);
}
