//! A GET, and whether the status is good.

use std::net::SocketAddr;

use http_body_util::Empty;
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::io::failure;
use crate::signal::ProbeFailure;

const AGENT: &str = concat!("etm-probe/", env!("CARGO_PKG_VERSION"));

/// Asks for a path; a status from 200 to 399 is good, as kubelet has it, and redirections are not
/// followed. The answer's body is not read.
pub(super) async fn get(
    stream: TcpStream,
    address: SocketAddr,
    path: &str,
    host: Option<&str>,
) -> Result<(), ProbeFailure> {
    let own = address.to_string();
    let request = Request::get(path)
        .header(HOST, host.unwrap_or(&own))
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failure(&error))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failure(&error))?;
    let response = sender.send_request(request);
    let (mut response, mut connection) = (std::pin::pin!(response), std::pin::pin!(connection));
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        ended = &mut connection => match ended {
            // The answer may have come with the end.
            Ok(()) => response.await,
            Err(error) => Err(error),
        },
    };
    let status = response.map_err(|error| failure(&error))?.status();
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        Err(ProbeFailure::Status(status.as_u16()))
    }
}
