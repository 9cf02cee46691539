use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::Incoming,
    header::{AUTHORIZATION, HeaderValue},
};
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
};
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, Service, ServiceBuilder};

use super::{connector::Connector, servers::Servers, statistics::Statistics};

/// Between the beginnings of two watches on one kind, at least; as much again is random. A server
/// that answers and ends the answer at once is no error to kube, and would be asked without a pause.
const PACE: Duration = Duration::from_secs(1);

/// The way to the API server that all watches share.
pub(super) struct Access {
    config: Arc<Config>,
    /// Read for each request, of which there are few: a token that is replaced before or after it
    /// expires counts at once.
    token_file: Option<PathBuf>,
    http: Http,
}

type Http = legacy::Client<Connector, Body>;

impl Access {
    pub(super) fn new(mut config: Config, servers: Arc<Servers>) -> Self {
        let token_file = config.auth_info.token_file.take().map(PathBuf::from);
        let config = Arc::new(config);
        let connector = Connector::new(Arc::clone(&config), servers);
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self { config, token_file, http }
    }

    /// A client whose answers are counted there, if anywhere.
    pub(super) fn client(
        &self,
        statistics: Option<Arc<Statistics>>,
    ) -> Result<Client, kube::Error> {
        let requests = Requests {
            http: self.http.clone(),
            token_file: self.token_file.clone(),
            token: None,
            next: Instant::now(),
        };
        let counted = move |response: Response<Incoming>| {
            // An error says nothing of the cluster's state.
            let statistics = statistics.clone().filter(|_| response.status().is_success());
            response.map(|body| {
                body.map_frame(move |frame| {
                    if let (Some(statistics), Some(data)) = (&statistics, frame.data_ref()) {
                        statistics.note_received(data.len());
                    }
                    frame
                })
            })
        };
        let service = ServiceBuilder::new()
            .layer(self.config.base_uri_layer())
            .option_layer(self.config.auth_layer()?)
            .layer(self.config.extra_headers_layer()?)
            .map_response(counted)
            .service(requests);
        Ok(Client::new(service, self.config.default_namespace.clone()))
    }
}

/// Sends the requests of one watch.
#[derive(Clone)]
struct Requests {
    http: Http,
    token_file: Option<PathBuf>,
    /// The one last read: a file may be taken away after the start.
    token: Option<HeaderValue>,
    /// When the next watch may begin.
    next: Instant,
}

impl Requests {
    fn authorize(&mut self, request: &mut Request<Body>) -> Result<(), BoxError> {
        let Some(file) = &self.token_file else { return Ok(()) };
        match fs::read_to_string(file) {
            Ok(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
                value.set_sensitive(true);
                self.token = Some(value);
            }
            Err(error) if self.token.is_none() => {
                return Err(format!("cannot read the token in {}: {error}", file.display()).into());
            }
            Err(_) => {}
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        Ok(())
    }

    /// When a request may be sent.
    fn due(&mut self, request: &Request<Body>) -> Instant {
        let now = Instant::now();
        if !request.uri().query().unwrap_or_default().split('&').any(|pair| pair == "watch=true") {
            return now;
        }
        let due = self.next.max(now);
        let random = RandomState::new().hash_one(0) % PACE.as_millis() as u64;
        self.next = due + PACE + Duration::from_millis(random);
        due
    }
}

impl Service<Request<Body>> for Requests {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let due = self.due(&request);
        let authorized = self.authorize(&mut request);
        let http = self.http.clone();
        async move {
            authorized?;
            sleep_until(due).await;
            Ok(http.request(request).await?)
        }
        .boxed()
    }
}
