//! Calls of the API server from blocking code.

use std::fmt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::{Method, Request};
use kube::api::{Api as Objects, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// How long [`wait`](Api::wait) waits; controllers on a busy machine take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// A client of an API server, as one user; its calls block.
pub struct Api {
    client: Client,
    runtime: Runtime,
}

impl Api {
    /// A client for a kubeconfig.
    ///
    /// # Errors
    ///
    /// [`Error::Kubeconfig`] when it cannot be read.
    pub fn new(kubeconfig: &Path) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::io("start a runtime"))?;
        let client = runtime.block_on(client(kubeconfig))?;
        Ok(Self { client, runtime })
    }

    /// What is at a path, as `/api/v1/namespaces/default/pods/web`, if there is something.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn get(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.request(Method::GET, path, None) {
            Err(Error::Api { source, .. }) if code(&source) == Some(404) => Ok(None),
            other => other.map(Some),
        }
    }

    /// What is at a path that answers in plain text, as `/readyz`.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        let what = format!("get {path}");
        let request = Request::get(path).body(Vec::new()).map_err(Error::request(&what))?;
        self.runtime.block_on(self.client.request_text(request)).map_err(Error::api(what))
    }

    /// Creates an object in the collection at a path, and returns it as stored.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.request(Method::POST, path, Some(object))
    }

    /// Changes the fields that are named here of what is at a path (JSON merge patch).
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn merge(&self, path: &str, fields: &Value) -> Result<Value, Error> {
        self.request(Method::PATCH, path, Some(fields))
    }

    /// Deletes what is at a path.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn delete(&self, path: &str) -> Result<(), Error> {
        self.request(Method::DELETE, path, None).map(drop)
    }

    /// Makes objects of any kind be what is said here, by server-side apply; those that name no
    /// namespace are put into this one.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn apply(&self, namespace: &str, objects: &[Value]) -> Result<(), Error> {
        objects.iter().try_for_each(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let what = format!("apply {} {name}", object["kind"]);
            self.runtime
                .block_on(apply(&self.client, namespace, name, object))
                .map_err(Error::api(what))
        })
    }

    /// Waits until what is at a path is as wanted, and returns it.
    ///
    /// # Errors
    ///
    /// [`Error::NeverCame`] after a minute, with what was there last.
    pub fn wait(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.get(path)?;
            match last {
                Some(object) if wanted(&object) => return Ok(object),
                last if Instant::now() >= deadline => {
                    let last = last.map_or_else(|| "nothing".to_owned(), |last| last.to_string());
                    return Err(Error::NeverCame { path: path.to_owned(), last });
                }
                _ => sleep(INTERVAL),
            }
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let what = format!("{method} {path}");
        let kind = if method == Method::PATCH { "merge-patch+json" } else { "json" };
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", format!("application/{kind}"))
            .body(body)
            .map_err(Error::request(&what))?;
        self.runtime.block_on(self.client.request(request)).map_err(Error::api(what))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// A client for a kubeconfig, for the runtime that this runs in.
///
/// # Errors
///
/// [`Error::Kubeconfig`] when it cannot be read.
pub async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| Error::Kubeconfig {
        path: kubeconfig.to_owned(),
        source,
    };
    let config = Kubeconfig::read_from(kubeconfig).map_err(|error| broken(error.into()))?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .map_err(|error| broken(error.into()))?;
    Client::try_from(config).map_err(|error| broken(error.into()))
}

/// The HTTP status that an API server answered with.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

async fn apply(
    client: &Client,
    namespace: &str,
    name: &str,
    object: &Value,
) -> Result<(), kube::Error> {
    let types: TypeMeta =
        serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    let kind =
        GroupVersionKind::try_from(types).map_err(|error| kube::Error::Service(error.into()))?;
    let (resource, capabilities) = kube::discovery::pinned_kind(client, &kind).await?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
    let objects: Objects<DynamicObject> = match capabilities.scope {
        kube::discovery::Scope::Cluster => Objects::all_with(client.clone(), &resource),
        kube::discovery::Scope::Namespaced => {
            Objects::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let how = PatchParams::apply("etm-testkit").force();
    objects.patch(name, &how, &Patch::Apply(object)).await.map(drop)
}
