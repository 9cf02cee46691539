//! A proxy before the real API server that gives other answers when it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::USER_AGENT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

type Answer = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Refused with this status, in the words of an API server.
    Status(u16),
    /// Refused, where a watch is to go on from a version (410).
    GoneAtOnce,
    /// A watch that is to go on from a version is begun, and told that the version is too old.
    GoneLater,
    /// Lists are not streamed (422), as by a server without the feature.
    NoStreams,
    /// Answered, and cut off after so many bytes, in the midst of an object.
    Cut(usize),
    /// As [`Fault::GoneLater`], and the list that follows is cut off after so many bytes.
    GoneAndCut(usize),
    /// Answered with nothing, and ended in good order.
    Ended,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) user_agent: String,
}

impl Seen {
    pub(crate) fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Client,
    fault: Mutex<Fault>,
    seen: Mutex<Vec<Seen>>,
    /// Counts how often everything was to be cut off.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// Starts one before the API server of a kubeconfig, whose rights all requests get. It ends
    /// with the process.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (shared, listener) = runtime.block_on(async {
            let config = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(config, &options).await;
            let mut config = config.expect("a configuration");
            // Its answers are passed on as they are.
            config.default_retry = false;
            let shared = Shared {
                upstream: Client::try_from(config).expect("a client"),
                fault: Mutex::new(Fault::None),
                seen: Mutex::default(),
                cut: watch::Sender::new(0),
            };
            (Arc::new(shared), TcpListener::bind(("127.0.0.1", 0)).await.expect("a port"))
        });
        let address = listener.local_addr().expect("an address");
        let kept = Arc::clone(&shared);
        thread::spawn(move || runtime.block_on(serve(listener, shared)));
        Self { address, shared: kept }
    }

    /// A kubeconfig that leads here, in a folder.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> std::path::PathBuf {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "p", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "p", "user": {}}],
            "contexts": [{"name": "p", "context": {"cluster": "p", "user": "p"}}],
            "current-context": "p",
        });
        let path = folder.join("proxy.kubeconfig");
        std::fs::write(&path, config.to_string()).expect("a kubeconfig");
        path
    }

    /// From now on answers so.
    pub(crate) fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().expect("a lock") = fault;
    }

    /// From now on answers so, and ends all that is under way in the midst of what it says.
    pub(crate) fn cut(&self, fault: Fault) {
        self.fault(fault);
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.shared.seen.lock().expect("a lock")
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            // That connections end early is what this is for.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let agent = request.headers().get(USER_AGENT).map(|agent| agent.to_str().expect("text"));
        let seen = Seen {
            at: Instant::now(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            user_agent: agent.unwrap_or_default().to_owned(),
            query,
        };
        let streams = seen.query.contains("sendInitialEvents=true");
        let resumes = seen.is_watch() && !streams;
        self.seen.lock().expect("a lock").push(seen);
        let fault = *self.fault.lock().expect("a lock");
        match fault {
            Fault::Status(status) => refusal(status, "by the proxy"),
            Fault::GoneAtOnce if resumes => refusal(410, "too old"),
            Fault::GoneLater | Fault::GoneAndCut(_) if resumes => {
                let event = json!({"type": "ERROR", "object": status_of(410, "too old")});
                plain(StatusCode::OK, format!("{event}\n"))
            }
            Fault::NoStreams if streams => {
                refusal(422, "sendInitialEvents: Forbidden: the feature is off")
            }
            Fault::Ended => plain(StatusCode::OK, String::new()),
            Fault::Cut(bytes) | Fault::GoneAndCut(bytes) => self.pass_on(request, bytes).await,
            _ => self.pass_on(request, usize::MAX).await,
        }
    }

    async fn pass_on(&self, request: Request<Incoming>, limit: usize) -> Response<Answer> {
        let cut = self.cut.subscribe();
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let mut forwarded = Request::new(Body::from(body.to_vec()));
        *forwarded.method_mut() = parts.method;
        *forwarded.uri_mut() = parts.uri;
        match self.upstream.send(forwarded).await {
            Ok(response) => response.map(|body| until_cut(body, cut, limit)),
            Err(error) => refusal(502, &error.to_string()),
        }
    }
}

/// The same body, until there are enough bytes or everything is cut off.
fn until_cut(body: Body, mut cut: watch::Receiver<u64>, limit: usize) -> Answer {
    cut.mark_unchanged();
    let frames = body.into_data_stream();
    let frames = stream::unfold(Some((frames, cut, limit)), |state| async {
        let (mut frames, mut cut, left) = state?;
        if left == 0 {
            return Some((Err("cut off".into()), None));
        }
        tokio::select! {
            data = frames.next() => match data? {
                Ok(mut data) => {
                    data.truncate(left);
                    let left = left - data.len();
                    Some((Ok(Frame::data(data)), Some((frames, cut, left))))
                }
                Err(error) => Some((Err(error.to_string().into()), None)),
            },
            _ = cut.changed() => Some((Err("cut off".into()), None)),
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

fn status_of(code: u16, message: &str) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "", "code": code,
    })
}

fn refusal(code: u16, message: &str) -> Response<Answer> {
    plain(StatusCode::from_u16(code).expect("a status"), status_of(code, message).to_string())
}

fn plain(status: StatusCode, text: String) -> Response<Answer> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(BodyExt::boxed_unsync(body));
    *response.status_mut() = status;
    response
}
