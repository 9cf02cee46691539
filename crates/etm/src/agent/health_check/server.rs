use std::{convert::Infallible, future::ready, time::Duration};

use http_body_util::Full;
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{State, answer::answer};

/// How long a connection may take for its one request: whoever holds one open holds a place.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections of one port at a time; further ones wait to be accepted.
const PLACES: usize = 64;

/// How long to wait after a failed `accept`, which would fail again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers on one port until it is aborted, its connections with it.
pub(super) async fn serve(listener: TcpListener, port: u16, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= PLACES {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, port, state.clone()));
            }
            Err(error) => {
                debug!(port, %error, "could not accept a health check");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One request, whatever its path and method, and its answer.
async fn converse(stream: TcpStream, port: u16, state: watch::Receiver<State>) {
    let service = service_fn(|_request| ready(Ok::<_, Infallible>(respond(port, &state))));
    let connection =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // A load balancer that goes away without its answer asks again.
    let _ = timeout(PATIENCE, connection).await;
}

fn respond(port: u16, state: &watch::Receiver<State>) -> Response<Full<Bytes>> {
    let State { checks, health } = &*state.borrow();
    answer(checks.get(&port), *health)
}
