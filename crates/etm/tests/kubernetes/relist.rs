//! What was missed while no watch was open: the next full list makes up for it.

use crate::proxy::{Fault, Proxy};
use crate::scene::{Scene, addresses, slice};
use etm_testkit::wait::until;

/// A slice goes while the agent has no watch, and its version is too old when it asks again.
#[track_caller]
fn deletion_is_noticed(gone: Fault) {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let web = scene.service("web");
    let gone_service = scene.service("gone");
    scene.slice("web-1", "web", &addresses(2));
    scene.slice("web-2", "web", &addresses(3));
    let _agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(3));
    assert_eq!(scene.members(gone_service), Some(0));
    proxy.cut(Fault::Status(503));
    scene.delete("endpointslices", "web-2");
    scene.delete("services", "gone");
    proxy.fault(gone);
    scene.until_members(web, Some(2));
    scene.until_members(gone_service, None);
    proxy.fault(Fault::None);
    scene.apply(slice("web-1", "web", &addresses(1)).into());
    scene.until_members(web, Some(1));
}

#[test]
fn a_deletion_was_missed_and_the_watch_says_so() {
    deletion_is_noticed(Fault::GoneLater);
}

#[test]
fn a_deletion_was_missed_and_the_watch_is_refused() {
    deletion_is_noticed(Fault::GoneAtOnce);
}

#[test]
fn a_deletion_in_the_midst_of_a_list_that_is_cut_off() {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(2));
    scene.slice("web-2", "web", &addresses(3));
    let _agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(web, Some(3));
    let lists = || {
        let seen = proxy.seen();
        let slices = seen.iter().filter(|seen| seen.path.ends_with("/endpointslices"));
        slices.filter(|seen| seen.query.contains("sendInitialEvents")).count()
    };
    let before = lists();
    // Every list ends after its first bytes; until one is whole nothing may change.
    proxy.cut(Fault::GoneAndCut(1000));
    until("lists", || lists() >= before + 2);
    assert_eq!(scene.members(web), Some(3));
    scene.delete("endpointslices", "web-2");
    proxy.fault(Fault::None);
    scene.until_members(web, Some(2));
}

#[test]
fn made_again_under_the_same_name_between_two_lists() {
    let scene = Scene::new();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let before = scene.service("web");
    scene.slice("web-1", "web", &addresses(2));
    let _agent = scene.agent_with(&proxy.kubeconfig(scene.state.path())).start().expect("an agent");
    scene.until_members(before, Some(2));
    proxy.cut(Fault::Status(503));
    scene.delete("services", "web");
    scene.delete("endpointslices", "web-1");
    let _taken = scene.service("in-between");
    let after = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    proxy.fault(Fault::GoneLater);
    scene.until_members(after, Some(1));
    if before != after {
        scene.until_members(before, None);
    }
}
