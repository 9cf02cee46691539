//! A way from a node's network to the API server on the host's loopback.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use etm_testkit::Node;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Listens on the node's own address; ends with the process.
pub(crate) struct Forward {
    address: SocketAddr,
}

impl Forward {
    pub(crate) fn start(node: &Node, to: SocketAddr) -> Self {
        let address = (node.ipv4(), 0);
        let listener = within(node, move || TcpListener::bind(address).expect("a port"));
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // An API server that is down is seen as one that hangs up.
                let Ok(upstream) = TcpStream::connect(to) else { continue };
                join(&stream, &upstream);
                join(&upstream, &stream);
            }
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Makes a socket in the network of a node: it belongs to that of the thread that makes it.
pub(crate) fn within<T: Send + 'static>(
    node: &Node,
    make: impl FnOnce() -> T + Send + 'static,
) -> T {
    let path = node.place().namespace_path().expect("a namespace");
    let made = thread::spawn(move || {
        let namespace = std::fs::File::open(path).expect("a namespace");
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).expect("entry");
        make()
    });
    made.join().expect("a socket")
}

/// Carries what comes from one to the other, until the end.
fn join(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
    thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}
