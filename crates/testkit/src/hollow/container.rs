//! A container: a cgroup, a process, and what is told of both.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::layout::Layout;
use crate::cgroup::Cgroup;
use crate::place::Place;
use crate::{Error, Server};

/// What the containers of a Pod share.
pub(super) struct Surroundings<'a> {
    pub(super) pod: &'a str,
    pub(super) network: &'a Place,
    pub(super) layout: &'a Layout,
    pub(super) cgroup: &'a Cgroup,
}

/// A container of a Pod, running or ended.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    /// 64 hexadecimal digits, without the runtime's name in front.
    pub(super) id: String,
    pub(super) started: Time,
    pub(super) restarts: u32,
    /// With its exit code once it has ended.
    pub(super) ended: Option<(i32, Time)>,
    pub(super) place: Place,
    pub(super) path: PathBuf,
    live: Option<Live>,
}

/// In the order of their end.
#[derive(Debug)]
struct Live {
    server: Server,
    asked_to_end: bool,
    _cgroup: Cgroup,
}

impl Container {
    /// Starts one, which serves the ports that its description names, under the Pod's name.
    /// Where its environment has a `RELAY`, it asks there in turn for each request.
    pub(super) fn start(spec: &core::Container, around: &Surroundings<'_>) -> Result<Self, Error> {
        let (mut container, cgroup) = Self::new(spec, around)?;
        let (tcp, udp) = (ports(spec, "TCP"), ports(spec, "UDP"));
        let server = Server::of(&container.place, around.pod, (&tcp, &udp), relay(spec))?;
        container.live = Some(Live { server, asked_to_end: false, _cgroup: cgroup });
        Ok(container)
    }

    /// Runs one that does its work and ends, as an init container does.
    pub(super) fn complete(
        spec: &core::Container,
        around: &Surroundings<'_>,
    ) -> Result<Self, Error> {
        let (mut container, _cgroup) = Self::new(spec, around)?;
        let mut command = container.place.command("true");
        let status = command.status().map_err(Error::io(format!("run {}", spec.name)))?;
        container.ended = Some((exit_code(status), now()));
        Ok(container)
    }

    fn new(spec: &core::Container, around: &Surroundings<'_>) -> Result<(Self, Cgroup), Error> {
        let id = fresh_id();
        let cgroup = around.layout.container(around.cgroup, &id)?;
        let container = Self {
            name: spec.name.clone(),
            image: spec.image.clone().unwrap_or_default(),
            id,
            started: now(),
            restarts: 0,
            ended: None,
            place: around.network.within(&cgroup),
            path: cgroup.path().to_owned(),
            live: None,
        };
        Ok((container, cgroup))
    }

    /// The id of its first process, while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        self.live.as_ref().map(|live| live.server.id())
    }

    /// Asks it to end, once.
    pub(super) fn terminate(&mut self) {
        if let Some(live) = &mut self.live
            && !live.asked_to_end
        {
            live.asked_to_end = true;
            // It may just have ended.
            let _ = live.server.terminate();
        }
    }

    /// Ends it without asking.
    pub(super) fn kill(&mut self) {
        if self.is_running() {
            self.live = None;
            self.ended = Some((137, now()));
        }
    }

    /// Whether it runs; notes how it ended.
    pub(super) fn is_running(&mut self) -> bool {
        if let Some(live) = &mut self.live
            && let Some(status) = live.server.ended()
        {
            self.live = None;
            self.ended = Some((exit_code(status), now()));
        }
        self.live.is_some()
    }
}

/// What runs in every Pod beside its containers and holds its network.
pub(super) fn sandbox() -> core::Container {
    core::Container { name: "sandbox".to_owned(), ..core::Container::default() }
}

/// The current time, as objects have it.
pub(super) fn now() -> Time {
    Time(Timestamp::now())
}

fn ports(spec: &core::Container, protocol: &str) -> Vec<u16> {
    let ports = spec.ports.iter().flatten();
    let wanted = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == protocol);
    wanted.filter_map(|port| u16::try_from(port.container_port).ok()).collect()
}

/// Where a container is to ask in turn.
fn relay(spec: &core::Container) -> Option<&str> {
    let mut variables = spec.env.iter().flatten();
    variables.find(|variable| variable.name == "RELAY")?.value.as_deref()
}

/// As a shell tells it, and a container runtime.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default()
}

/// As long as a container runtime's, and as random.
fn fresh_id() -> String {
    (0..4).map(|_| format!("{:016x}", RandomState::new().build_hasher().finish())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_containerds_and_differ() {
        let (one, two) = (fresh_id(), fresh_id());
        assert!(one.len() == 64 && one.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }
}
