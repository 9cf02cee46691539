//! What the programs do with a call, step by step, over their own maps by their own code.

use std::{io, net::SocketAddr};

use etm_abi::{
    FRONTEND_BALANCED, FRONTEND_ELSEWHERE, FRONTEND_NODE_ONLY, FRONTEND_SOURCES, Frontend,
};
use etm_dataplane::{Live, MapError, View};
use etm_decide::{balance::balancing, pick};
use etm_model::{FrontendKey, Listener, Protocol, from_abi};
use rustix::io::Errno;

use crate::{
    balancing::Balancing,
    explain::{
        asked::From,
        caller::Known,
        explanation::{Called, Caller, Explanation, Outcome},
        members::Members,
    },
};

/// One call that is asked about.
pub(super) struct Steps<'a> {
    pub(super) view: &'a View,
    pub(super) live: &'a Live<'a>,
    pub(super) known: &'a Known,
    pub(super) key: FrontendKey,
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    /// The port that the caller's socket is bound to.
    pub(super) source_port: Option<u16>,
    /// Ports that the address has.
    pub(super) ports: Vec<String>,
}

/// What a condition of a frontend makes of a call.
enum Verdict {
    Admitted,
    Elsewhere(String),
    Excluded(String),
}

impl Steps<'_> {
    /// What becomes of the call where it finds this frontend, or none.
    pub(super) fn explain(&self, frontend: Option<&Frontend>) -> Result<Explanation, MapError> {
        let mut told = self.nothing_yet();
        let Some(frontend) = frontend else {
            self.no_frontend(&mut told)?;
            return Ok(told);
        };
        told.called.service = self.view.service_name(frontend.service)?;
        told.called.callers = Some(self.callers(frontend)?);
        match self.judge(frontend)? {
            Verdict::Admitted => self.follow(frontend, &mut told)?,
            Verdict::Elsewhere(reason) => told.reason = reason,
            Verdict::Excluded(reason) => self.refuse(&mut told, frontend.errno, &reason),
        }
        Ok(told)
    }

    /// A call that passes, since nothing was found so far.
    fn nothing_yet(&self) -> Explanation {
        let (address, protocol) = (self.address, self.protocol);
        let own = self.known.address(address.ip());
        let kind = match &self.known.from {
            From::Pod(_) => "pod",
            From::Node => "node",
            From::Unknown => "unknown",
        };
        let caller = Caller {
            kind,
            name: self.known.name.clone(),
            address: own.map(|own| from_abi(&own)),
            cgroup_id: self.known.record.map(|(cgroup, _)| cgroup),
        };
        let mut notes = Vec::new();
        if self.known.cgroups > 1 {
            notes.push(format!(
                "{} cgroups belong to a Pod of this name; this is about the youngest",
                self.known.cgroups
            ));
        }
        Explanation {
            result: Outcome::Passes,
            reason: String::new(),
            destination: None,
            errno: None,
            caller,
            called: Called { address, protocol, service: None, callers: None },
            route: None,
            balancing: None,
            affinity: None,
            hash: None,
            members: Vec::new(),
            notes,
        }
    }

    fn no_frontend(&self, told: &mut Explanation) -> Result<(), MapError> {
        let (ip, place) = (self.key.ip, format!("{}/{}", self.address, self.protocol));
        let any_port = self.view.frontend(&FrontendKey { ip, listener: Listener::AnyPort });
        let ports = match self.ports.as_slice() {
            [] => String::new(),
            ports => format!("; Services have {} of {ip}", ports.join(", ")),
        };
        match any_port {
            Some(frontend) => {
                let reason = format!("no Service has {place}{ports}");
                self.refuse(told, frontend.errno, &reason);
            }
            None => told.reason = format!("{place} is not a Service's, so it is left alone{ports}"),
        }
        Ok(())
    }

    /// Whether the frontend is for this caller.
    fn judge(&self, frontend: &Frontend) -> Result<Verdict, MapError> {
        if frontend.flags & FRONTEND_NODE_ONLY != 0 && !self.known.on_node {
            return Ok(Verdict::Elsewhere(format!(
                "{} is a Service's only in the node's network namespace, and this caller has a \
                 network of its own",
                self.address
            )));
        }
        if frontend.flags & FRONTEND_SOURCES != 0 {
            let Some(address) = self.known.address(self.key.ip) else {
                let reason =
                    "it has ranges of callers, and this caller has no address that is known";
                return Ok(Verdict::Excluded(reason.to_owned()));
            };
            if !self.live.admits(&self.key, address)? {
                let reason = format!("{} is in no range of its callers", from_abi(&address));
                return Ok(Verdict::Excluded(reason));
            }
        }
        Ok(Verdict::Admitted)
    }

    /// Chooses among the members.
    pub(super) fn choose(
        &self,
        frontend: &Frontend,
        told: &mut Explanation,
    ) -> Result<(), MapError> {
        let target = frontend.target();
        let header = if frontend.flags & FRONTEND_BALANCED == 0 {
            None
        } else {
            let Some(header) = balancing(self.live, target) else {
                let reason = "its table lies outside of the maps".to_owned();
                self.refuse(told, frontend.errno, &reason);
                return Ok(());
            };
            Some(header)
        };
        told.balancing = Some(Balancing::of(header.as_ref()));
        let mut members = Members::of(self.view, self.live, frontend)?;
        if pick(self.live, target, 0).is_none() {
            told.members = members.rows();
            let reason = match told.members.len() {
                0 if frontend.flags & FRONTEND_ELSEWHERE != 0 => {
                    "its traffic policy is Local, and all of its endpoints are on other nodes"
                        .to_owned()
                }
                0 => "it has no members".to_owned(),
                count => format!("none of its {count} members is available"),
            };
            self.refuse(told, frontend.errno, &reason);
            return Ok(());
        }
        match header {
            Some(header) => self.balance(frontend, &header, &mut members, told)?,
            None => members.at_random(told, "at random"),
        }
        told.members = members.rows();
        if self.protocol == Protocol::Udp {
            told.notes.push(
                "a socket that sent here before without connect() keeps its Pod while that is an \
                 available member"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(super) fn refuse(&self, told: &mut Explanation, errno: u16, reason: &str) {
        let errno = if self.live.has_errno() {
            errno
        } else {
            told.notes
                .push("this kernel is older than 5.18: a refused caller sees EPERM".to_owned());
            Errno::PERM.raw_os_error().unsigned_abs() as u16
        };
        told.result = Outcome::Refused;
        told.errno = Some(errno);
        told.reason = format!("{}: {reason}", io::Error::from_raw_os_error(errno.into()));
    }

    /// Who may call, as `etm get services` has it.
    fn callers(&self, frontend: &Frontend) -> Result<String, MapError> {
        if frontend.flags & FRONTEND_SOURCES != 0 {
            let ranges = self.view.sources(&self.key)?;
            let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
            return Ok(if ranges.is_empty() { "none".to_owned() } else { ranges.join(", ") });
        }
        let node = frontend.flags & FRONTEND_NODE_ONLY != 0;
        Ok(if node { "node" } else { "everyone" }.to_owned())
    }
}
