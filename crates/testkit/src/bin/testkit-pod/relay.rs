//! A request to the next server, for which a caller of this one waits.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use etm_testkit::Answer;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, client};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the next one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a server over a connection of its own. What goes wrong is told on stderr as well: a caller of
/// this server only sees that it gives no answer.
pub(crate) async fn ask(target: SocketAddr) -> io::Result<Answer> {
    let answer = timeout(PATIENCE, exchange(target)).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    answer.inspect_err(|error| eprintln!("testkit-pod: ask {target}: {error}"))
}

async fn exchange(target: SocketAddr) -> io::Result<Answer> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (mut requests, connection) =
        client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::task::spawn_local(connection);
    let request = Request::get("/").header(HOST, "testkit").body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let response = requests.send_request(request).await.map_err(io::Error::other)?;
    let body = response.into_body().collect().await.map_err(io::Error::other)?;
    drop(requests);
    let _ = connection.await;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}
