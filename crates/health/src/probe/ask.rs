//! One probe.

use etm_model::ProbeKind;
use tokio::{net::TcpStream, time::timeout};

use super::{Target, grpc, http, io::failure};
use crate::signal::ProbeFailure;

/// Asks a target, on a connection of its own to the address itself.
///
/// # Errors
///
/// Why it is not well, after its timeout at the latest.
pub async fn ask(target: &Target) -> Result<(), ProbeFailure> {
    let limit = target.probe.timeout;
    let answer = timeout(limit, answer(target)).await;
    answer.unwrap_or(Err(ProbeFailure::TimedOut(limit)))
}

async fn answer(target: &Target) -> Result<(), ProbeFailure> {
    let stream = TcpStream::connect(target.address).await.map_err(|error| failure(&error))?;
    match &target.probe.kind {
        ProbeKind::Tcp => Ok(()),
        ProbeKind::Http { path, host } => {
            http::get(stream, target.address, path, host.as_deref()).await
        }
        ProbeKind::Grpc { service } => grpc::check(stream, target.address, service).await,
    }
}
