//! The listener to which Alertmanager posts.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use crate::alerts::Notification;

/// Bytes of a notification, at most.
const SIZE: usize = 4 << 20;
/// How long a caller may take for each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// After an error of accept, such as that of too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Notifications that wait to be taken in, and connections at a time.
const WAITING: usize = 64;

/// Takes what Alertmanager posts to `/alerts`.
#[derive(Debug)]
pub struct Listener {
    received: mpsc::Receiver<Notification>,
    leads: Arc<AtomicBool>,
}

/// Why there is no listener.
#[derive(Debug, Error)]
pub enum ListenerError {
    /// The address is taken, or not one of this host.
    #[error("could not listen on {0} (--alerts)")]
    Bind(SocketAddr, #[source] io::Error),
    /// The file of the token cannot be read.
    #[error("could not read the token in {0} (--alerts-token-file)")]
    Token(PathBuf, #[source] io::Error),
}

struct Door {
    sender: mpsc::Sender<Notification>,
    token_file: Option<PathBuf>,
    leads: Arc<AtomicBool>,
}

impl Listener {
    /// Listens from now on. With a file, only callers that have the bearer token in it are heard; it
    /// is read for each call.
    ///
    /// # Errors
    ///
    /// Where the address or the file cannot be used.
    pub async fn open(
        address: SocketAddr,
        token_file: Option<PathBuf>,
    ) -> Result<Self, ListenerError> {
        if let Some(file) = &token_file {
            token(file).map_err(|error| ListenerError::Token(file.clone(), error))?;
        }
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ListenerError::Bind(address, error))?;
        let (sender, received) = mpsc::channel(WAITING);
        let leads = Arc::new(AtomicBool::new(false));
        let door = Arc::new(Door { sender, token_file, leads: Arc::clone(&leads) });
        tokio::spawn(accept(listener, door));
        Ok(Self { received, leads })
    }

    /// Says whether this process is the one that hears. The others send Alertmanager away, which
    /// tries again on another connection, and with it sooner or later at the one that does.
    pub fn set_leading(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// Waits for the next notification. Cancel safe.
    pub async fn next(&mut self) -> Notification {
        match self.received.recv().await {
            Some(notification) => notification,
            None => std::future::pending().await,
        }
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    let places = Arc::new(Semaphore::new(WAITING));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let door = Arc::clone(&door);
        let service = service_fn(move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // A caller that goes away is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match self.take(request).await {
            Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
            Err((status, text)) => (status, format!("{text}\n")),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        if status != StatusCode::OK {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), (StatusCode, String)> {
        let refuse = |status, text: &str| Err((status, text.to_owned()));
        if request.uri().path() != "/alerts" {
            return refuse(StatusCode::NOT_FOUND, "there is /alerts");
        }
        if request.method() != Method::POST {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST");
        }
        if !self.is_known(request.headers().get(AUTHORIZATION)) {
            return refuse(StatusCode::UNAUTHORIZED, "another bearer token is asked for");
        }
        if !self.leads.load(Ordering::Relaxed) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "another replica hears alerts now");
        }
        let body = timeout(PATIENCE, Limited::new(request.into_body(), SIZE).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body does not come"),
        };
        let notification: Notification = match serde_json::from_slice(&body) {
            Ok(notification) => notification,
            Err(error) => {
                let told = format!("this is no webhook of Alertmanager, version 4: {error}");
                return refuse(StatusCode::BAD_REQUEST, &told);
            }
        };
        if notification.version != "4" {
            let told = format!("version {} is not known, 4 is", notification.version);
            return refuse(StatusCode::BAD_REQUEST, &told);
        }
        // What is not taken is sent again.
        self.sender.try_send(notification).map_err(|_| {
            (StatusCode::SERVICE_UNAVAILABLE, "too many notifications wait".to_owned())
        })
    }

    fn is_known(&self, given: Option<&HeaderValue>) -> bool {
        let Some(file) = &self.token_file else { return true };
        let Ok(token) = token(file) else { return false };
        let expected = format!("Bearer {token}");
        let given = given.map(HeaderValue::as_bytes).unwrap_or_default();
        // In a time that does not tell how much of it was right.
        let differences =
            given.iter().zip(expected.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        given.len() == expected.len() && differences == 0
    }
}

/// The token in a file; an empty one is none.
fn token(file: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    let token = text.trim();
    if token.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    Ok(token.to_owned())
}
