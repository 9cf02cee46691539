//! The way from a node's network to the API server, which listens on the machine's own loopback.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::Error;
use crate::place::Place;

/// Listens in a network at the very address that the API server has outside, so that one
/// kubeconfig is good for both.
pub(super) fn listen(place: &Place, address: SocketAddr) -> Result<TcpListener, Error> {
    let path = place.namespace_path();
    // A socket stays in the network it was made in. The thread that goes there does not come back.
    let made = thread::spawn(move || -> io::Result<TcpListener> {
        if let Some(path) = path {
            let network = File::open(path)?;
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let made = made.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
    made.map_err(Error::io("open a way to the API server"))
}

/// Passes connections on until this is cancelled.
pub(super) async fn pass_on(listener: TcpListener, address: SocketAddr) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut inside, _) = listener.accept().await?;
        tokio::spawn(async move {
            // Where nobody listens outside, the one inside sees its connection closed.
            let mut outside = TcpStream::connect(address).await?;
            copy_bidirectional(&mut inside, &mut outside).await
        });
    }
}
