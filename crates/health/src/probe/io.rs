//! What an error of a connection says of a backend.

use std::{error::Error, io};

use etm_model::with_causes;

use crate::signal::ProbeFailure;

/// The failure that an error, or what is behind it, stands for.
pub(super) fn failure(error: &(dyn Error + 'static)) -> ProbeFailure {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    let kind = causes.find_map(|cause| {
        let is_cut = || {
            cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
        };
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind.or_else(|| is_cut().then_some(io::ErrorKind::UnexpectedEof))
    });
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => ProbeFailure::Refused,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => ProbeFailure::Reset,
        Some(io::ErrorKind::UnexpectedEof) => {
            ProbeFailure::Other("the connection was closed before an answer".into())
        }
        _ => ProbeFailure::Other(with_causes(error).into()),
    }
}
