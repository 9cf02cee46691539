//! `grpc.health.v1.Health/Check`, without TLS.

use std::net::SocketAddr;

use hyper::{Uri, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status, body::Body};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::io::failure;
use crate::signal::ProbeFailure;

/// A status is some bytes; whoever sends more is no health service.
const LONGEST_ANSWER: usize = 1_024;

/// Asks whether a service, or with an empty name the server, is serving.
pub(super) async fn check(
    stream: TcpStream,
    address: SocketAddr,
    service: &str,
) -> Result<(), ProbeFailure> {
    let origin = Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/");
    let origin = origin.build().map_err(|error| failure(&error))?;
    let handshake =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| failure(&error))?;
    let channel = tower::service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    let mut client =
        HealthClient::with_origin(channel, origin).max_decoding_message_size(LONGEST_ANSWER);
    let answer = client.check(HealthCheckRequest { service: service.into() });
    let (mut answer, mut connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => return Err(failure(&error)),
        },
    };
    let answer = answer.map_err(|status| refused(&status))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(ProbeFailure::NotServing(other.as_str_name())),
    }
}

/// What a call's error says: of the connection where that broke, or of the server.
fn refused(status: &Status) -> ProbeFailure {
    if let (Code::Unknown | Code::Unavailable, Some(cause)) =
        (status.code(), std::error::Error::source(status))
    {
        return failure(cause);
    }
    let code = status.code().description();
    let message = status.message();
    let text = if message.is_empty() { code.into() } else { format!("{code}: {message}") };
    ProbeFailure::Grpc(text.into())
}
