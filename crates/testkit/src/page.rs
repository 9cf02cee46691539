//! Pages of servers in any network, for what programs tell of themselves.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::Error;
use crate::place::Place;

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// Gets a page over plain HTTP from a server in the network of a place.
///
/// # Errors
///
/// [`Error::Io`] when nobody answers there.
pub fn page(place: &Place, address: SocketAddr, path: &str) -> Result<Page, Error> {
    let what = || Error::io(format!("get {path} of {address}"));
    let mut stream = place.in_network(|| TcpStream::connect(address)).map_err(what())?;
    let mut answer = String::new();
    // By HTTP/1.0 the body is all that follows the header, and the end of both is that of the
    // connection.
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer))
        .map_err(what())?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    match (status, answer.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok(Page { status, text: body.to_owned() }),
        _ => Err(what()(io::Error::other(answer))),
    }
}
