use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::rt::TokioIo;
use kube::{Config, client::ConfigExt as _};
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower::{BoxError, Service};

use super::servers::Servers;

/// How long one address may take to answer, TLS included, before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the look-up of a host name may take: the resolver asks the next name server after 5 s.
const LOOK_UP: Duration = Duration::from_secs(8);
/// After how much silence a connection is probed, how often, and how many unanswered probes end it.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);
/// How long data that was sent may stay unconfirmed.
const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Connects to the first API server that answers, whatever address the configuration has. TLS
/// checks the name that the configuration has.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<Config>,
    servers: Arc<Servers>,
}

/// No API server could be reached.
#[derive(Debug, Error)]
#[error("no API server answers: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
struct Unreachable(Vec<Failure>);

#[derive(Debug)]
struct Failure {
    address: String,
    reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.reason)
    }
}

type Stream = <HttpsConnector<To> as Service<Uri>>::Response;
type Connecting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Connector {
    pub(super) fn new(config: Arc<Config>, servers: Arc<Servers>) -> Self {
        Self { config, servers }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let mut failures = Vec::new();
        for address in self.servers.candidates(authority(&uri)) {
            let found = match look_up(&address).await {
                Ok(found) => found,
                Err(reason) => {
                    failures.push(Failure { address, reason });
                    continue;
                }
            };
            // Each for itself: behind a name, one that is silent must not hide the next.
            for to in found {
                match self.attempt(&uri, to).await? {
                    Ok(stream) => return Ok(stream),
                    Err(reason) => {
                        failures.push(Failure { address: to.to_string(), reason });
                    }
                }
            }
        }
        Err(Unreachable(failures).into())
    }

    /// Tries one address; the inner error is why it does not work.
    async fn attempt(&self, uri: &Uri, to: SocketAddr) -> Result<Result<Stream, String>, BoxError> {
        // Made anew each time: certificates in files are replaced before they expire.
        let mut https = self.config.rustls_https_connector_with_connector(To(to))?;
        Ok(match timeout(PATIENCE, https.call(uri.clone())).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("does not answer within {} s", PATIENCE.as_secs())),
        })
    }
}

/// The addresses behind a name, or why there are none.
async fn look_up(address: &str) -> Result<Vec<SocketAddr>, String> {
    match timeout(LOOK_UP, lookup_host(address)).await {
        Ok(found) => found.map(Iterator::collect).map_err(|error| error.to_string()),
        Err(_) => Err(format!("the name is not looked up within {} s", LOOK_UP.as_secs())),
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Stream, BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.clone().connect(uri).boxed()
    }
}

/// Connects to one address, whatever is asked for.
#[derive(Clone)]
pub(super) struct To(SocketAddr);

impl Service<Uri> for To {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Connecting<TokioIo<TcpStream>, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0;
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            // A watch only listens: an API server that lost its power would never be missed.
            let (time, interval, retries) = KEEPALIVE;
            let keepalive =
                TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
            let socket = SockRef::from(&stream);
            socket.set_tcp_keepalive(&keepalive)?;
            socket.set_tcp_user_timeout(Some(UNCONFIRMED))?;
            Ok(TokioIo::new(stream))
        }
        .boxed()
    }
}

/// Host and port of an URL.
pub(super) fn authority(uri: &Uri) -> String {
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default))
}
