/// What differs from one cluster to another; what is not given stays as `deploy/kustomize` says.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// The namespace of agent and controller.
    pub namespace: Option<String>,
    /// The image with the program.
    pub image: Option<String>,
    /// Environment variables of the agent, which are options of it.
    pub environment: Vec<(String, String)>,
    /// Environment variables of the controller, which are options of it.
    pub controller_environment: Vec<(String, String)>,
    /// Sockets that point at Pods that are gone stay as they are: the agent then needs neither
    /// `CAP_SYS_ADMIN` nor the host's network namespaces.
    pub keep_stale: bool,
    /// The Secret with the certificate by which the controller asks the agents what became of
    /// connections; without it they are not asked.
    pub outcomes: Option<String>,
    /// Arguments of the program on each node instead of `agent`; then it is no agent, and is not probed.
    pub arguments: Option<Vec<String>>,
}
