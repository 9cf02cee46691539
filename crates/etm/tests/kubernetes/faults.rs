//! What the API server answers when it does not answer as it should.

use std::time::Duration;

use crate::proxy::{Fault, Proxy};
use crate::scene::{Scene, addresses, service, slice};
use etm_testkit::wait::{until, until_logged};

/// The agent goes on after a fault: changes made meanwhile and later ones arrive, and the last
/// good state was served until then.
#[track_caller]
fn survives(fault: Fault, logged: &[&str]) {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let web = scene.service("web");
    let gone = scene.service("gone");
    scene.slice("web-1", "web", &addresses(2));
    let agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(2));
    assert_eq!(scene.members(gone), Some(0));

    proxy.cut(fault);
    if logged.is_empty() {
        let before = proxy.seen().len();
        until("it is asked again", || proxy.seen().len() >= before + 4);
    } else {
        until_logged(&agent, logged);
    }
    scene.apply(slice("web-1", "web", &addresses(3)).into());
    scene.delete("services", "gone");
    let later = scene.service("later");
    assert_eq!(scene.members(web), Some(2));
    assert_eq!(scene.members(gone), Some(0));

    proxy.fault(Fault::None);
    scene.until_members(web, Some(3));
    scene.until_members(gone, None);
    scene.until_members(later, Some(0));
    scene.slice("later-1", "later", &addresses(1));
    scene.until_members(later, Some(1));
}

#[test]
fn too_many_requests() {
    survives(Fault::Status(429), &["WARN", "watch of endpointslices", "by the proxy"]);
}

#[test]
fn internal_errors() {
    survives(Fault::Status(500), &["WARN", "watch of services", "by the proxy"]);
}

#[test]
fn no_permission_for_a_while() {
    survives(Fault::Status(403), &["WARN", "watch of services", "by the proxy"]);
}

#[test]
fn watches_that_are_cut_off_in_the_midst_of_an_object() {
    survives(Fault::Cut(20), &[]);
}

#[test]
fn watches_that_end_at_once() {
    survives(Fault::Ended, &[]);
}

#[test]
fn watches_that_end_at_once_are_not_begun_without_a_pause() {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let web = scene.service("web");
    let _agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(0));
    proxy.cut(Fault::Ended);
    let watches = || {
        let seen = proxy.seen();
        let services = seen.iter().filter(|seen| seen.path == "/api/v1/services");
        services.filter(|seen| seen.is_watch()).map(|seen| seen.at).collect::<Vec<_>>()
    };
    until("some more watches", || watches().len() >= 4);
    // A second of pause; how late a request is seen depends on what else runs here.
    for pair in watches().windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(500), "{:?}", pair[1] - pair[0]);
    }
}

#[test]
fn lists_of_a_server_that_does_not_stream_them() {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    proxy.fault(Fault::NoStreams);
    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(2));
    let agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(2));
    scene.apply(slice("web-1", "web", &addresses(3)).into());
    scene.until_members(web, Some(3));
    assert!(proxy.seen().iter().any(|seen| seen.query.contains("limit=500")));
    assert!(!agent.stderr().contains("sendInitialEvents"), "{}", agent.stderr());
}

#[test]
fn it_asks_for_no_more_than_it_needs() {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let web = scene.service("web");
    let labelled = |name: &str, label: &str| {
        let object = service(name).label(label, "x");
        crate::scene::address_of(&scene.create("services", object.into()))
    };
    let others = labelled("others", "service.kubernetes.io/service-proxy-name");
    let headless = labelled("headless", "service.kubernetes.io/headless");
    let kubeconfig = proxy.kubeconfig(scene.state.path());
    let _agent = scene.agent_with(&kubeconfig).start().expect("an agent");
    scene.until_members(web, Some(0));
    assert_eq!((scene.members(others), scene.members(headless)), (None, None));
    let seen = proxy.seen().clone();
    let unlabelled = "%21service.kubernetes.io%2Fservice-proxy-name%2C\
                      %21service.kubernetes.io%2Fheadless";
    for (path, part) in [
        ("/api/v1/services", unlabelled.to_owned()),
        (
            "/apis/discovery.k8s.io/v1/endpointslices",
            format!("kubernetes.io%2Fservice-name%2C{unlabelled}"),
        ),
        ("/api/v1/nodes", format!("metadata.name%3D{}", scene.namespace)),
        ("/api/v1/pods", format!("spec.nodeName%3D{}", scene.namespace)),
        ("/apis/etm.dev/v1alpha1/trafficpolicies", "watch=true".to_owned()),
        ("/apis/etm.dev/v1alpha1/trafficroutes", "watch=true".to_owned()),
        ("/apis/etm.dev/v1alpha1/nodehealths", "watch=true".to_owned()),
        ("/apis/etm.dev/v1alpha1/releases", "watch=true".to_owned()),
    ] {
        let requests: Vec<_> = seen.iter().filter(|seen| seen.path == path).collect();
        assert_eq!(requests.len(), 1, "{seen:?}");
        assert!(requests[0].query.contains(&part), "{part} is not in {:?}", requests[0]);
        assert!(requests[0].query.contains("allowWatchBookmarks=true"), "{:?}", requests[0]);
        assert!(requests[0].user_agent.starts_with("etm-agent/"), "{:?}", requests[0]);
    }
    // Whether the cluster has the Gateway API, which this one does not have.
    let looks = seen.iter().filter(|seen| seen.path == "/apis/gateway.networking.k8s.io").count();
    assert_eq!((looks, seen.len()), (1, 9), "{seen:?}");
}
