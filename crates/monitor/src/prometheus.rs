//! The client of Prometheus' HTTP API.

use std::{path::PathBuf, time::Duration};

use http::{Request, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::{Client, Config, client::Body};
use thiserror::Error;
use tokio::time::timeout;

use crate::{
    answer::{Sample, Unusable, samples},
    monitors::Trouble,
};

/// Bytes of an answer, at most.
const SIZE: usize = 4 << 20;
/// Characters of an error page that are told.
const SHOWN: usize = 200;

/// How Prometheus is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// What goes before `/api/v1/query`.
    pub url: Uri,
    /// A bearer token, read again as it is replaced.
    pub token_file: Option<PathBuf>,
    /// Who signs its certificate, instead of those whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Why there is no way to Prometheus.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The URL is none.
    #[error("`{0}` is no URL of Prometheus; write it as http://HOST:PORT")]
    Url(Uri),
    /// The client cannot be made, for one because a certificate cannot be read.
    #[error("cannot make a client of Prometheus")]
    Client(#[source] Box<kube::Error>),
}

/// Asks Prometheus. TLS, authorities and tokens that are replaced are those of kube's client, which
/// reaches any server.
#[derive(Clone)]
pub struct Prometheus(Client);

impl Prometheus {
    /// Prepares to ask; nothing is sent yet. Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the access cannot be used.
    pub fn new(access: Access) -> Result<Self, AccessError> {
        let Access { url, token_file, ca_file } = access;
        if url.host().is_none() || !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(AccessError::Url(url));
        }
        let mut config = Config::new(url);
        config.root_cert_file = ca_file;
        config.auth_info.token_file = token_file.map(|file| file.to_string_lossy().into_owned());
        // A query that fails is asked again at its next time.
        config.default_retry = false;
        let client = Client::try_from(config);
        client.map(Self).map_err(|error| AccessError::Client(Box::new(error)))
    }

    /// Asks an instant query.
    ///
    /// # Errors
    ///
    /// [`Trouble`] where there is no answer in time, or none that can be used.
    pub async fn query(&self, text: &str, patience: Duration) -> Result<Vec<Sample>, Trouble> {
        match timeout(patience, self.ask(text)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Trouble::Unreachable(format!("no answer within {patience:?}"))),
        }
    }

    async fn ask(&self, text: &str) -> Result<Vec<Sample>, Trouble> {
        // A long query does not fit into a URL.
        let form =
            form_urlencoded::Serializer::new(String::new()).append_pair("query", text).finish();
        let request = Request::post("/api/v1/query")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.into_bytes()))
            .map_err(|error| Trouble::Unreachable(error.to_string()))?;
        let unreachable = |error: &(dyn std::error::Error + 'static)| {
            Trouble::Unreachable(etm_model::with_causes(error))
        };
        let answer = self.0.send(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), SIZE).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let told = format!("it is longer than {} MiB", SIZE >> 20);
                Trouble::Unusable(Unusable::Foreign(told))
            } else {
                unreachable(error.as_ref())
            }
        })?;
        let body = body.to_bytes();
        let outcome = samples(&body);
        if status.is_success() || matches!(outcome, Err(Unusable::Refused(_))) {
            return Ok(outcome?);
        }
        let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN).collect();
        Err(Trouble::Unreachable(format!("HTTP {status}: {said}")))
    }
}
