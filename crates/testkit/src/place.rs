//! Where a process runs: in which network namespace, in which cgroup.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cgroup::Cgroup;
use crate::ip;

/// A network namespace and a cgroup; either may be the host's own.
#[derive(Clone, Debug, Default)]
pub struct Place {
    namespace: Option<String>,
    cgroup: Option<PathBuf>,
}

impl Place {
    /// The host's network and this process's cgroup.
    #[must_use]
    pub fn host() -> Self {
        Self::default()
    }

    /// A named network namespace.
    pub(crate) fn namespace(name: &str) -> Self {
        Self { namespace: Some(name.to_owned()), cgroup: None }
    }

    /// The same network, inside of a cgroup.
    #[must_use]
    pub fn within(&self, cgroup: &Cgroup) -> Self {
        Self { cgroup: Some(cgroup.path().to_owned()), ..self.clone() }
    }

    /// A program that will run here. The process that is started becomes the program itself, so
    /// its id and its signals are the program's.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // The cgroup comes first: a socket belongs to the cgroup of the process at that moment,
        // so the program must be in its cgroup before its first instruction.
        const ENTER: &str = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        let mut words: Vec<&OsStr> = Vec::new();
        if let Some(cgroup) = &self.cgroup {
            words.extend(["sh", "-c", ENTER].map(OsStr::new));
            words.push(cgroup.as_os_str());
        }
        // Not `ip netns exec`: that mounts a fresh /sys, without bpffs and cgroups.
        let net = self.namespace.as_ref().map(|name| format!("--net={}/{name}", ip::NAMESPACES));
        if let Some(net) = &net {
            words.extend([OsStr::new("nsenter"), OsStr::new(net), OsStr::new("--")]);
        }
        words.push(program.as_ref());
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    /// Makes something in this place's network: a socket stays in the network that it was made in.
    ///
    /// # Errors
    ///
    /// Where the network cannot be entered, and those of the work itself.
    pub fn in_network<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let path = self.namespace_path();
        // The thread that goes there does not come back.
        let there = move || {
            if let Some(path) = path {
                let network = File::open(path)?;
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            }
            work()
        };
        thread::scope(|scope| scope.spawn(there).join())
            .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    }

    /// The path of the network namespace, for what enters it by itself.
    #[must_use]
    pub fn namespace_path(&self) -> Option<PathBuf> {
        self.namespace.as_ref().map(|name| Path::new(ip::NAMESPACES).join(name))
    }
}
