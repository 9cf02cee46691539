//! The agents' side.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    identity::Identity,
    report::{Question, Report},
};

/// Bytes of a question, at most: some ten thousand addresses.
const SIZE: usize = 1 << 20;
/// How long a caller may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);
/// After an error of accept, such as that of too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections at a time.
const AT_ONCE: usize = 16;

/// Answers those who have a certificate of the authority, at `/outcomes`.
#[derive(Debug)]
pub struct Listener {
    asked: mpsc::Receiver<Asked>,
    address: SocketAddr,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    reply: oneshot::Sender<Report>,
}

/// Why there is no listener.
#[derive(Debug, Error)]
#[error("could not listen on {0}")]
pub struct ListenerError(SocketAddr, #[source] io::Error);

impl Asked {
    /// Answers it.
    pub fn answer(self, report: Report) {
        // Whoever has gone away meanwhile needs no answer.
        let _ = self.reply.send(report);
    }
}

impl Listener {
    /// Listens from now on. Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the address cannot be used.
    pub async fn open(address: SocketAddr, identity: Identity) -> Result<Self, ListenerError> {
        let failed = |error| ListenerError(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, asked) = mpsc::channel(AT_ONCE);
        tokio::spawn(accept(listener, identity, sender));
        Ok(Self { asked, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next question. Cancel safe.
    pub async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

async fn accept(listener: TcpListener, identity: Identity, sender: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let (identity, sender) = (identity.clone(), sender.clone());
        tokio::spawn(async move {
            // A caller that goes away, or has no certificate, is its own affair.
            let _ = serve(stream, &identity, sender).await;
            drop(place);
        });
    }
}

async fn serve(
    stream: TcpStream,
    identity: &Identity,
    sender: mpsc::Sender<Asked>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let acceptor = TlsAcceptor::from(identity.server()?);
    let stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
    let service = service_fn(move |request| {
        let sender = sender.clone();
        async move { Ok::<_, Infallible>(answer(request, &sender).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    Ok(connection.await?)
}

async fn answer(request: Request<Incoming>, sender: &mpsc::Sender<Asked>) -> Response<Full<Bytes>> {
    let (status, body) = match take(request, sender).await {
        Ok(body) => (StatusCode::OK, body),
        Err((status, told)) => (status, format!("{told}\n").into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

async fn take(
    request: Request<Incoming>,
    sender: &mpsc::Sender<Asked>,
) -> Result<Vec<u8>, (StatusCode, String)> {
    let refuse = |status, told: &str| Err((status, told.to_owned()));
    if request.uri().path() != "/outcomes" {
        return refuse(StatusCode::NOT_FOUND, "there is /outcomes");
    }
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST");
    }
    let body = timeout(PATIENCE, Limited::new(request.into_body(), SIZE).collect()).await;
    let Ok(Ok(body)) = body else {
        return refuse(StatusCode::BAD_REQUEST, "the body does not come, or is too long");
    };
    let question = serde_json::from_slice(&body.to_bytes())
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let (reply, answered) = oneshot::channel();
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "the agent is busy".to_owned());
    sender.try_send(Asked { question, reply }).map_err(|_| busy())?;
    let Ok(Ok(report)) = timeout(PATIENCE, answered).await else { return Err(busy()) };
    serde_json::to_vec(&report)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
