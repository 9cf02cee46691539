//! The pages for probes and monitoring. They are served by the thread that keeps the maps, or a
//! controller's status, so that an answer says that this thread goes on.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, time::sleep};

use crate::{metrics, state::State};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// After an error of accept, such as that of too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves from now on.
pub(crate) async fn serve(
    address: SocketAddr,
    metrics: Arc<Registry>,
    state: Arc<State>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address} (--admin)"))?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let (metrics, state) = (Arc::clone(&metrics), Arc::clone(&state));
            let service = service_fn(move |request| {
                std::future::ready(Ok::<_, Infallible>(answer(&request, &metrics, &state)))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // A caller that goes away is its own affair.
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    Ok(())
}

fn answer(request: &Request<Incoming>, metrics: &Registry, state: &State) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    match request.uri().path() {
        "/metrics" => match metrics::render(metrics) {
            Ok(text) => page(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
        },
        "/problems" => match serde_json::to_vec(&*state.problems()) {
            Ok(problems) => page(StatusCode::OK, JSON, problems),
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
        },
        "/livez" | "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" if state.is_ready() => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => {
            let text = "the state of the cluster is not complete yet\n";
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
        _ => {
            let text = "there are /metrics, /problems, /livez, /healthz and /readyz\n";
            page(StatusCode::NOT_FOUND, TEXT, text)
        }
    }
}

fn page(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
