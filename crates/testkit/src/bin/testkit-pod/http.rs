//! HTTP over TCP, on connections that stay open as long as the caller likes.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use etm_testkit::Answer;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::listen::plain;
use crate::relay;

/// Answers every request on every connection.
pub(crate) async fn serve(listener: TcpListener, name: Rc<str>, relay: Option<SocketAddr>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let name = Rc::clone(&name);
                tokio::task::spawn_local(async move {
                    // A caller that goes away mid-request is what tests do on purpose.
                    let _ = converse(stream, peer, &name, relay).await;
                });
            }
            Err(error) => {
                eprintln!("testkit-pod: accept: {error}");
                // Out of descriptors: accept would fail again at once.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    name: &str,
    relay: Option<SocketAddr>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (peer, local) = (plain(peer), plain(stream.local_addr()?));
    let service = service_fn(|_request| async move {
        let relayed = match relay {
            Some(target) => Some(Box::new(relay::ask(target).await?)),
            None => None,
        };
        let answer = Answer { pod: name.to_owned(), peer, local, echo: None, relayed };
        // With an end of line for those who read it on a terminal.
        let body = Bytes::from(format!("{}\n", serde_json::to_string(&answer)?));
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok::<_, io::Error>(response)
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

const JSON: hyper::header::HeaderValue =
    hyper::header::HeaderValue::from_static("application/json");
