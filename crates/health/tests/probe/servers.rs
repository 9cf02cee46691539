//! Servers that are well, and servers that are not.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use etm_health::Target;
use etm_model::{BackendKey, Probe, ProbeKind, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A probe of an address, by an address's own backend.
pub(crate) fn target(address: SocketAddr, kind: ProbeKind) -> Target {
    let backend = BackendKey { ip: address.ip(), port: address.port(), protocol: Protocol::Tcp };
    let probe = Arc::new(Probe::new(kind));
    Target { backend, probe, address }
}

/// The same with a timeout that a hanging server runs into soon.
pub(crate) fn hasty(address: SocketAddr, kind: ProbeKind) -> Target {
    let mut target = target(address, kind);
    let timeout = Duration::from_millis(100);
    target.probe = Arc::new(Probe { timeout, ..Probe::clone(&target.probe) });
    target
}

pub(crate) fn http(path: &str) -> ProbeKind {
    ProbeKind::Http { path: path.into(), host: None }
}

/// What a server does with each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// Answers a request by these bytes, and ends the connection.
    Answers(&'static str),
    /// Answers with the request that it got, after a good status.
    Echoes,
    /// Reads, and says nothing.
    Hangs,
    /// Reads, and resets the connection.
    Resets,
    /// Reads, and ends the connection.
    Closes,
}

/// A server that runs until its runtime ends.
pub(crate) async fn serve(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(handle(stream, does));
        }
    });
    address
}

async fn handle(mut stream: TcpStream, does: Does) {
    let mut request = vec![0; 4_096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    match does {
        Does::Answers(answer) => stream.write_all(answer.as_bytes()).await.unwrap_or(()),
        Does::Echoes => {
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let good = request.starts_with("GET /healthz?deep=1 HTTP/1.1\r\n")
                && request.contains("host: shop.example\r\n")
                && request.contains("user-agent: etm-probe/");
            let status = if good { "200 OK" } else { "400 Bad Request" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap_or(());
        }
        Does::Hangs => std::future::pending().await,
        Does::Resets => {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        Does::Closes => {}
    }
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
