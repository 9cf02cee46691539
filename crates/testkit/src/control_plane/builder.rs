//! What kind of control plane a test needs.

use std::ffi::OsString;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::arguments::{self, Files};
use super::component::Component;
use super::credentials::Authority;
use super::remains::remove_after_death;
use super::{Api, ControlPlane, address, kubeconfig};
use crate::cgroup::Cgroup;
use crate::folder::Folder;
use crate::{Error, require_root};

/// How long the API server may take from start to ready; alone on a machine it takes 3 seconds.
const START: Duration = Duration::from_secs(120);

/// Describes a control plane; [`start`](ControlPlaneBuilder::start) runs it.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneBuilder {
    controllers: bool,
    api_server: Vec<OsString>,
    controller_manager: Vec<OsString>,
}

impl ControlPlaneBuilder {
    /// With kube-controller-manager and kube-scheduler, not only etcd and an API server.
    #[must_use]
    pub fn controllers(self) -> Self {
        Self { controllers: true, ..self }
    }

    /// Another argument of kube-apiserver.
    #[must_use]
    pub fn api_server_arg(mut self, argument: impl Into<OsString>) -> Self {
        self.api_server.push(argument.into());
        self
    }

    /// Another argument of kube-controller-manager.
    #[must_use]
    pub fn controller_manager_arg(mut self, argument: impl Into<OsString>) -> Self {
        self.controller_manager.push(argument.into());
        self
    }

    /// Starts it and waits until the API server is ready and, with controllers, these work.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] without the programs, [`Error::NotReady`] with the last words of
    /// one that ends or hangs.
    pub fn start(self) -> Result<ControlPlane, Error> {
        require_root()?;
        let scratch = Folder::new()?;
        let cgroup = Cgroup::new()?;
        let remains = remove_after_death(&cgroup, &scratch)?;
        let authority = Authority::new(&scratch)?;
        let address = address::free()?;
        let serving = authority.server("kube-apiserver", address.ip())?;
        let tokens = authority.token_keys()?;
        let certificate = authority.path();
        let files = Files { authority: &certificate, serving: &serving, tokens: &tokens };
        let config = |user: &str, groups: &[&str]| {
            let name = format!("{}.kubeconfig", user.replace(':', "-"));
            let identity = authority.client(user, groups)?;
            scratch.write(&name, &kubeconfig::of_user(address, &certificate, &identity))
        };
        let admin = config("admin", &["system:masters"])?;

        let folder = scratch.child("etcd")?;
        let sockets = folder.join("clients.sock");
        let etcd = Component::start("etcd", arguments::etcd(&folder, &sockets), &cgroup)?;
        let mut api_arguments = arguments::api_server(address, &sockets, &files);
        if !self.controllers {
            // Nobody would make the ServiceAccounts that it insists on.
            api_arguments.push("--disable-admission-plugins=ServiceAccount".into());
        }
        api_arguments.extend(self.api_server);
        let api_server = Component::start("kube-apiserver", api_arguments, &cgroup)?;
        let mut controllers = Vec::new();
        if self.controllers {
            let mut manager = arguments::controller_manager(
                &config("system:kube-controller-manager", &[])?,
                &files,
            );
            manager.extend(self.controller_manager);
            let scheduler = arguments::scheduler(&config("system:kube-scheduler", &[])?);
            // They wait for the API server by themselves.
            controllers.push(Component::start("kube-controller-manager", manager, &cgroup)?);
            controllers.push(Component::start("kube-scheduler", scheduler, &cgroup)?);
        }
        let api = Api::new(&admin)?;
        let control_plane = ControlPlane {
            api,
            controllers,
            api_server,
            etcd,
            etcd_socket: sockets,
            address,
            authority,
            admin,
            _remains: remains,
            _cgroup: cgroup,
            scratch,
        };
        control_plane.wait_ready()?;
        Ok(control_plane)
    }
}

impl ControlPlane {
    /// Waits until the API server says that it is ready and the controllers have begun.
    pub(super) fn wait_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            for component in self.components() {
                component.check()?;
            }
            let ready = self.api.text("/readyz").is_ok()
                && (self.controllers.is_empty() || self.account_is_there());
            if ready {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let why = format!("waited {} s", START.as_secs());
                let silent =
                    || Error::NeverCame { path: "/readyz".to_owned(), last: String::new() };
                return Err(self.api_server.not_ready(&why).unwrap_or_else(silent));
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// The account that a controller makes first and without which no Pod is accepted.
    fn account_is_there(&self) -> bool {
        let path = "/api/v1/namespaces/default/serviceaccounts/default";
        self.api.get(path).is_ok_and(|account| account.is_some())
    }

    fn components(&self) -> impl Iterator<Item = &Component> {
        [&self.etcd, &self.api_server].into_iter().chain(&self.controllers)
    }
}
