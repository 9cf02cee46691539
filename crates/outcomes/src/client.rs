//! The controller's side.

use std::{io, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    identity::{Identity, IdentityError, NAME},
    report::{Question, Report},
};

/// Bytes of an answer, at most.
const SIZE: usize = 16 << 20;

/// Why an agent said nothing that can be used.
#[derive(Debug, Error)]
pub enum AskError {
    /// The own certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It cannot be reached, or one of both has no certificate of the authority.
    #[error("{0} cannot be reached")]
    Connect(SocketAddr, #[source] io::Error),
    /// It broke off, or did not speak HTTP.
    #[error("{0} gives no answer")]
    Answer(SocketAddr, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refuses.
    #[error("{0} refuses: HTTP {1}")]
    Refused(SocketAddr, StatusCode),
    /// It takes too long.
    #[error("{0} gives no answer within {1:?}")]
    Silent(SocketAddr, Duration),
}

/// Asks one agent.
///
/// # Errors
///
/// [`AskError`] where there is no answer in time, or none that can be used.
pub async fn ask(
    agent: SocketAddr,
    identity: &Identity,
    question: &Question,
    patience: Duration,
) -> Result<Report, AskError> {
    let asked = timeout(patience, exchange(agent, identity, question)).await;
    asked.unwrap_or(Err(AskError::Silent(agent, patience)))
}

async fn exchange(
    agent: SocketAddr,
    identity: &Identity,
    question: &Question,
) -> Result<Report, AskError> {
    let connector = TlsConnector::from(identity.client()?);
    let connect = |error| AskError::Connect(agent, error);
    let stream = TcpStream::connect(agent).await.map_err(connect)?;
    let name = ServerName::try_from(NAME).map_err(|error| connect(io::Error::other(error)))?;
    let stream = connector.connect(name, stream).await.map_err(connect)?;
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| AskError::Answer(agent, error);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.into()))?;
    let body = serde_json::to_vec(question).map_err(|error| broken(error.into()))?;
    let request = Request::post("/outcomes")
        .header(HOST, NAME)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(error.into()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| broken(error.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), SIZE).collect().await.map_err(broken)?;
        if status != StatusCode::OK {
            return Err(AskError::Refused(agent, status));
        }
        serde_json::from_slice(&body.to_bytes()).map_err(|error| broken(error.into()))
    };
    tokio::pin!(connection, answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            // What it had read by then is the answer, or the lack of one.
            Ok(()) => answer.await,
            Err(error) => Err(broken(error.into())),
        },
    }
}
