//! What can go wrong while a scene is set up.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// An error of the testkit; every message says what was being done.
#[derive(thiserror::Error)]
pub enum Error {
    /// Not root, or root without the capabilities.
    #[error("{0}; run as root on the machine itself, for example: sudo make test")]
    Privilege(String),

    /// A file system of the kernel is not mounted.
    #[error("{kind} is not mounted; run: cargo xtask setup")]
    NotMounted {
        /// The kind as in `/proc/mounts`.
        kind: &'static str,
    },

    /// A program of this workspace has not been built.
    #[error("{} is missing; it is built by: cargo xtask test", path.display())]
    MissingBinary {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// The cause.
        source: io::Error,
    },

    /// A program that sets something up failed.
    #[error("`{command}` failed with {status}: {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },

    /// A program did not become ready: it ended, or it took too long.
    #[error("{program} did not become ready ({why}): {stderr}")]
    NotReady {
        /// Its name.
        program: String,
        /// How it ended, or how long it was waited for.
        why: String,
        /// What it said so far.
        stderr: String,
    },

    /// A caller printed something that is not a [`Call`](crate::Call).
    #[error("not a call: {line:?}")]
    NotACall {
        /// The line.
        line: String,
        /// Where it goes wrong.
        source: serde_json::Error,
    },

    /// A certificate cannot be made.
    #[error("make a certificate for {name}")]
    Certificate {
        /// Whose.
        name: String,
        /// The cause.
        source: rcgen::Error,
    },

    /// A kubeconfig cannot be used.
    #[error("{} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The API server refused a call, or could not be reached.
    #[error("{what}")]
    Api {
        /// What was being done.
        what: String,
        /// The cause, with the server's own words.
        source: Box<kube::Error>,
    },

    /// Something at the API server did not become what was waited for.
    #[error("{path} never became as wanted; it was: {last}")]
    NeverCame {
        /// Where it was looked for.
        path: String,
        /// What was there last.
        last: String,
    },

    /// A Pod or a container that a test means is not on the node.
    #[error("{pod} is not on this node")]
    NoSuchPod {
        /// Namespace, name and, where it is about a container, that one's name.
        pod: String,
    },

    /// A node has no address left for another Pod.
    #[error("{node} has no address left for another Pod")]
    NodeFull {
        /// The node's namespace.
        node: String,
    },
}

/// As people read it, with its causes: this is what a failed `expect` of a test prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error {
    /// Wraps an operating system's error with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: what.into(), source }
    }

    /// Wraps an error of making a certificate with whose it was to be.
    pub(crate) fn certificate(name: &str) -> impl FnOnce(rcgen::Error) -> Self {
        |source| Self::Certificate { name: name.to_owned(), source }
    }

    /// Wraps the error of a call with what was being done.
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        |source| Self::Api { what: what.into(), source: Box::new(source) }
    }

    /// Wraps the error of a call that cannot even be written down.
    pub(crate) fn request(what: &str) -> impl FnOnce(http::Error) -> Self {
        move |source| Self::api(what)(kube::Error::HttpError(source))
    }
}
