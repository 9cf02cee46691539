use thiserror::Error;

/// Why there are no objects to install.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// A file of `deploy/kustomize` is not what this program takes it for.
    #[error("deploy/kustomize/{file} cannot be read")]
    Read {
        /// The file's name.
        file: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A file of `deploy/kustomize` lacks something that a parameter is to change.
    #[error("deploy/kustomize/{file} has no container")]
    NoContainer {
        /// The file's name.
        file: &'static str,
    },
    /// The objects cannot be written as text.
    #[error("the objects cannot be written as YAML")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the cluster does not have the objects.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error(
        "cannot use the kubeconfig (name one with --kubeconfig or $KUBECONFIG, and a context of it \
         with --context)"
    )]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// There is neither a kubeconfig nor a Pod's ServiceAccount.
    #[error("found no cluster: name a kubeconfig with --kubeconfig or $KUBECONFIG")]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be made, for one because a certificate cannot be read.
    #[error("cannot make a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// Someone else has set a field to another value.
    #[error(
        "could not apply {object}: others have set fields of it (to overrule them, put `| kubectl \
         apply --server-side --force-conflicts --field-manager etm -f -` in the place of --apply)"
    )]
    Conflict {
        /// Kind and name.
        object: String,
        /// The server's words, with the fields and who has set them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server did not take an object.
    #[error("could not {verb} {object}")]
    Request {
        /// What was to be done.
        verb: &'static str,
        /// Kind and name.
        object: String,
        /// The server's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server has a definition of a kind and does not serve it.
    #[error(
        "{object} is not established within {seconds} s (kubectl describe {object} says why; what \
         comes after it is not installed yet: repeat this once it is)"
    )]
    NotEstablished {
        /// Kind and name.
        object: String,
        /// How long was waited.
        seconds: u64,
    },
}
