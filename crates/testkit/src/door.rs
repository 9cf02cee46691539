//! The way from a node's network to the API server, which listens on the machine's own loopback.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::Error;
use crate::place::Place;

/// Listens in a network at the very address that the API server has outside, so that one
/// kubeconfig is good for both.
pub(crate) fn listen(place: &Place, address: SocketAddr) -> Result<TcpListener, Error> {
    let made = place.in_network(|| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    made.map_err(Error::io("open a way to the API server"))
}

/// Passes connections on until this is cancelled.
pub(crate) async fn pass_on(listener: TcpListener, address: SocketAddr) -> io::Result<()> {
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
