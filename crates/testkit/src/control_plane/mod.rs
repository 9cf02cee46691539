//! A real Kubernetes control plane on loopback: etcd, kube-apiserver and, where wanted,
//! kube-controller-manager and kube-scheduler.

mod address;
mod api;
mod arguments;
mod builder;
mod component;
mod credentials;
mod etcd;
mod kubeconfig;
mod programs;
mod remains;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::json;

use crate::Error;
use crate::cgroup::Cgroup;
use crate::folder::Folder;
use crate::program::Program;

pub(crate) use api::code;
pub use api::{Api, client};
pub use builder::ControlPlaneBuilder;
pub(crate) use programs::{linked, program};

use component::Component;
use credentials::Authority;

/// A running control plane; it ends and its data are gone when this is dropped, and when the
/// process ends in whatever way. So a test binary may keep one in a static for all its tests,
/// each in a Kubernetes namespace of its own.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order of their end: first those that would complain about the absence of the rest.
    api: Api,
    controllers: Vec<Component>,
    api_server: Component,
    etcd: Component,
    etcd_socket: PathBuf,
    address: SocketAddr,
    authority: Authority,
    admin: PathBuf,
    _remains: Program,
    _cgroup: Cgroup,
    scratch: Folder,
}

impl ControlPlane {
    /// Describes a control plane.
    #[must_use]
    pub fn builder() -> ControlPlaneBuilder {
        ControlPlaneBuilder::default()
    }

    /// Calls as administrator.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where the API server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kubeconfig of the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Makes a kubeconfig for a user with a client certificate; no rights come with it but those
    /// of its groups.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn user(&self, name: &str, groups: &[&str]) -> Result<PathBuf, Error> {
        let identity = self.authority.client(name, groups)?;
        let text = kubeconfig::of_user(self.address, &self.authority.path(), &identity);
        self.scratch.write(&self.fresh("user"), &text)
    }

    /// Makes a kubeconfig for a bearer token, as `kubectl create token` gives out.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn bearer(&self, token: &str) -> Result<PathBuf, Error> {
        let text = kubeconfig::of_bearer(self.address, &self.authority.path(), token);
        self.scratch.write(&self.fresh("bearer"), &text)
    }

    /// Makes a kubeconfig for a ServiceAccount, with a token that is good for an hour.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when there is no such account.
    pub fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, Error> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"});
        let answer = self.api.create(&path, &request)?;
        self.bearer(answer["status"]["token"].as_str().unwrap_or_default())
    }

    /// Makes a Kubernetes namespace that no other test uses, ready for Pods, and returns its name.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the server's words.
    pub fn namespace(&self) -> Result<String, Error> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"generateName": "test-"},
        });
        let made = self.api.create("/api/v1/namespaces", &namespace)?;
        let name = made["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !self.controllers.is_empty() {
            let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
            self.api.wait(&account, |_| true)?;
        }
        Ok(name)
    }

    /// Runs kubectl as administrator and returns what it printed.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Error> {
        self.kubectl_with(arguments, "")
    }

    /// Runs kubectl with an input, as `apply -f -` takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of kubectl.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        let mut command = Command::new(program("kubectl")?);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.admin)
            // It keeps what it has learned of the server, and reads preferences.
            .env("HOME", self.scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("run kubectl"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may have ended without reading; then its own words are the better error.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(Error::io("run kubectl"))?;
        if !output.status.success() {
            return Err(Error::Command {
                command: format!("kubectl {}", arguments.join(" ")),
                status: output.status,
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends the API server as a machine that is shut down does (SIGTERM), and waits until it is
    /// gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not end.
    pub fn stop_api_server(&self) -> Result<(), Error> {
        self.api_server.end(Signal::TERM)
    }

    /// Ends the API server without warning (SIGKILL).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn kill_api_server(&self) -> Result<(), Error> {
        self.api_server.end(Signal::KILL)
    }

    /// Starts the API server again, at the same address and with the same data, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] with its last words.
    pub fn start_api_server(&self) -> Result<(), Error> {
        self.api_server.start_again()?;
        self.wait_ready()
    }

    /// The API server's process id, while it runs.
    #[must_use]
    pub fn api_server_id(&self) -> Option<u32> {
        self.api_server.id()
    }

    /// Ends etcd without warning (SIGKILL); the API server goes on without it, and answers errors.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn kill_etcd(&self) -> Result<(), Error> {
        self.etcd.end(Signal::KILL)
    }

    /// Starts etcd again, with what it had stored, and waits until the API server, if it runs, is
    /// ready.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] with the last words of the one that is not.
    pub fn start_etcd(&self) -> Result<(), Error> {
        self.etcd.start_again()?;
        if self.api_server.id().is_some() { self.wait_ready() } else { Ok(()) }
    }

    /// Makes etcd forget its history: who asks for an older version of an object than there is
    /// now learns that it is gone (410), once the API server has none in its cache either, as
    /// after a start.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the words of etcd.
    pub fn compact(&self) -> Result<(), Error> {
        etcd::compact(&self.etcd_socket)
    }

    fn fresh(&self, kind: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{kind}-{}.kubeconfig", NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
