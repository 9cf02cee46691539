//! Pods whose connections fail are left out, by what the kernel sees.

use etm_abi::BACKEND_EJECTED;
use etm_dataplane::View;
use etm_testkit::Protocol;

use crate::scene::{PORT, Scene, VIP4};

#[test]
fn one_that_refuses_is_out_after_five() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b", "c", "d"]);
    let _agent = scene.start();
    // Nobody listens any more; the Pod is still said to be ready.
    let pod = backends.pop().expect("a Pod").refuse();
    let clients = ["one", "two"].map(|name| scene.node.pod(name).expect("a Pod"));
    let mut refused = 0;
    for round in 0..100 {
        let client = &clients[round % 2];
        let call = scene.caller(client, Protocol::Tcp).call((VIP4, PORT).into()).expect("a call");
        refused += usize::from(call.errno.is_some());
    }
    let contents = View::open(&scene.pin()).expect("maps").contents().expect("contents");
    for (id, backend) in contents.backends {
        println!("{id} {backend:?}");
    }
    println!("{refused} of {}", pod.name());
    assert!(refused <= 5, "{refused}");
    let _ = BACKEND_EJECTED;
}
