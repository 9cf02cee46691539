//! The agent under test, as a process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::Error;
use crate::binary::binary;
use crate::bpf_dir::BpfDir;
use crate::cgroup::Cgroup;
use crate::control_plane::ControlPlane;
use crate::hollow::HollowNode;
use crate::manifests::Manifests;
use crate::place::Place;
use crate::program::Program;

/// How long the agent may take from start to ready; its own budget is far below.
const START: Duration = Duration::from_secs(30);

/// How long it may take to end when asked to.
const STOP: Duration = Duration::from_secs(60);

/// Describes an agent; [`start`](AgentBuilder::start) runs it. Copies start further agents with
/// the same pins, as an upgrade or a restart does.
#[derive(Clone, Debug)]
pub struct AgentBuilder {
    etm: PathBuf,
    verb: &'static str,
    place: Place,
    through: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl AgentBuilder {
    /// Runs another verb that says when it is ready and goes on until it is told to stop, as
    /// `controller` does.
    #[must_use]
    pub fn verb(self, verb: &'static str) -> Self {
        Self { verb, ..self }
    }

    /// The name of the node that it runs on.
    #[must_use]
    pub fn node(self, name: &str) -> Self {
        self.arg("--node").arg(name)
    }

    /// The folder of manifests.
    #[must_use]
    pub fn manifests(self, folder: impl AsRef<Path>) -> Self {
        self.arg("--manifests").arg(folder.as_ref())
    }

    /// Follows a cluster as its administrator, on one of its nodes and for all of its Pods.
    #[must_use]
    pub fn on(self, cluster: &ControlPlane, node: &HollowNode) -> Self {
        self.arg("--kubernetes")
            .arg("--kubeconfig")
            .arg(cluster.kubeconfig())
            .node(node.name())
            .cgroup(node.cgroup())
            .place(&node.node().place())
    }

    /// The cgroup whose sockets it covers.
    #[must_use]
    pub fn cgroup(self, cgroup: &Cgroup) -> Self {
        self.arg("--cgroup").arg(cgroup.path())
    }

    /// Its folder in bpffs.
    #[must_use]
    pub fn pin(self, folder: impl AsRef<Path>) -> Self {
        self.arg("--pin").arg(folder.as_ref())
    }

    /// Any other argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it in a node's network.
    #[must_use]
    pub fn place(self, place: &Place) -> Self {
        Self { place: place.clone(), ..self }
    }

    /// Starts it by way of another program, which is given its path and its arguments after these
    /// words and becomes it in the end.
    #[must_use]
    pub fn through<W: Into<OsString>>(self, words: impl IntoIterator<Item = W>) -> Self {
        Self { through: words.into_iter().map(Into::into).collect(), ..self }
    }

    /// Starts it and waits for its ready line.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] with what it said on stderr when it ends or hangs before that.
    pub fn start(&self) -> Result<Agent, Error> {
        let mut agent = self.launch()?;
        agent.ready = agent.program.ready(START)?;
        Ok(agent)
    }

    /// Starts it and does not wait for anything.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be started.
    pub fn launch(&self) -> Result<Agent, Error> {
        // A cgroup of its own, so that an agent left behind by a killed test is swept.
        let own = Cgroup::new()?;
        let place = self.place.within(&own);
        let mut command = match self.through.split_first() {
            None => place.command(&self.etm),
            Some((program, words)) => {
                let mut command = place.command(program);
                command.args(words).arg(&self.etm);
                command
            }
        };
        command.arg(self.verb).args(&self.arguments).envs(self.environment.iter().cloned());
        let program = Program::start(&format!("etm {}", self.verb), command)?;
        Ok(Agent { program, ready: String::new(), _own: own })
    }
}

/// A running agent, killed on drop, where a test that fails prints what it said last; what it pinned stays.
#[derive(Debug)]
pub struct Agent {
    program: Program,
    ready: String,
    _own: Cgroup,
}

impl Agent {
    /// Describes an agent of the given `etm` binary, in the host's network.
    #[must_use]
    pub fn of(etm: impl Into<PathBuf>) -> AgentBuilder {
        AgentBuilder {
            etm: etm.into(),
            verb: "agent",
            place: Place::host(),
            through: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Describes one of the built `etm` that follows a folder for the callers of a cgroup, and pins below a
    /// scratch folder.
    ///
    /// # Errors
    ///
    /// Where there is no such binary.
    pub fn of_folder(
        manifests: &Manifests,
        cgroup: &Cgroup,
        pins: &BpfDir,
    ) -> Result<AgentBuilder, Error> {
        let described = Self::of(binary("etm")?).node("bench").manifests(manifests.path());
        Ok(described.cgroup(cgroup).pin(pins.path().join("etm")))
    }

    /// The line with which it said that it is ready; empty where nobody waited for it.
    #[must_use]
    pub fn ready_line(&self) -> &str {
        &self.ready
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// What it said on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.program.stderr()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.program.wait(Duration::ZERO).is_err()
    }

    /// Asks it to end (SIGTERM) and waits until it has; returns what it said on stderr as well.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not end.
    pub fn stop(mut self) -> Result<(ExitStatus, String), Error> {
        self.program.signal(Signal::TERM)?;
        let status = self.program.wait(STOP)?;
        Ok((status, self.program.stderr()))
    }

    /// Ends it without warning (SIGKILL).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn kill(mut self) -> Result<(), Error> {
        self.program.signal(Signal::KILL)?;
        self.program.wait(STOP).map(drop)
    }

    /// Stands it still (SIGSTOP), as a machine that swaps would.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn pause(&self) -> Result<(), Error> {
        self.program.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn resume(&self) -> Result<(), Error> {
        self.program.signal(Signal::CONT)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.program.explain_failure();
    }
}
