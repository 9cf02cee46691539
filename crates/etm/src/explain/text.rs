//! An explanation in short lines, always in this order.

use std::fmt::{self, Display};

use crate::{
    balancing::Algorithm,
    explain::explanation::{Affinity, Explanation, Field, Member, Outcome, Part, Route},
};

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, text: &dyn Display| writeln!(f, "{name:<11} {text}");
        line("result", &self.result())?;
        line("why", &self.reason)?;
        line("caller", &self.caller())?;
        line("called", &self.called())?;
        if let Some(callers) = &self.called.callers {
            line("callers", callers)?;
        }
        if let Some(route) = &self.route {
            line("route", &route.text())?;
            for part in &route.parts {
                line("part", &part.text())?;
            }
        }
        if let Some(balancing) = &self.balancing {
            line("balancing", balancing)?;
        }
        if let Some(affinity) = &self.affinity {
            line("affinity", &affinity.text())?;
        }
        if let Some(hash) = &self.hash {
            for field in &hash.fields {
                line("field", &field.text())?;
            }
            line("salt", &hash.salt)?;
            match hash.position {
                Some(position) => line("position", &format!("{position} of {}", hash.positions))?,
                None => line("position", &format!("any of {}", hash.positions))?,
            }
        }
        for (name, member) in self.shown() {
            line(name, &member.text())?;
        }
        for note in &self.notes {
            line("note", note)?;
        }
        Ok(())
    }
}

impl Explanation {
    fn result(&self) -> String {
        match (self.result, &self.destination) {
            (Outcome::Pod, Some(destination)) => destination.to_string(),
            (Outcome::OneOf, _) if self.balancing.is_none() => "one of the parts below".to_owned(),
            (Outcome::Pod | Outcome::OneOf, _) => "one of the members below".to_owned(),
            (Outcome::Refused, _) => "refused".to_owned(),
            (Outcome::Passes, _) => "left alone".to_owned(),
        }
    }

    fn caller(&self) -> String {
        let caller = &self.caller;
        let mut text = match caller.kind {
            "node" => format!("node {}", caller.name),
            "unknown" => return "neither a Pod of this node nor the node".to_owned(),
            _ => caller.name.clone(),
        };
        match caller.address {
            Some(address) => text += &format!(" at {address}"),
            None => text += " without a known address",
        }
        match caller.cgroup_id {
            Some(cgroup) if cgroup != 0 => text += &format!(", cgroup {cgroup}"),
            _ => {}
        }
        text
    }

    fn called(&self) -> String {
        let place = format!("{}/{}", self.called.address, self.called.protocol);
        match &self.called.service {
            Some(service) => format!("{service} at {}", self.called.address),
            None => place,
        }
    }

    /// The members that the result depends on: where a hash decides, those that rank before the
    /// one that it is and that one; where a client stays, none; else all.
    fn shown(&self) -> Vec<(&'static str, &Member)> {
        let Some(balancing) = &self.balancing else { return Vec::new() };
        let ranked = self.hash.as_ref().is_some_and(|hash| hash.position.is_some());
        if balancing.algorithm == Algorithm::ConsistentHash && ranked {
            let mut order: Vec<_> = self.members.iter().collect();
            order.sort_by_key(|member| member.rank);
            let until = order.iter().position(|member| member.state == "available");
            order.truncate(until.map_or(order.len(), |at| at + 1));
            let names = ["best"].into_iter().chain(std::iter::repeat("next best"));
            return names.zip(order).collect();
        }
        if self.result == Outcome::Pod && self.affinity_keeps() {
            return Vec::new();
        }
        self.members.iter().map(|member| ("member", member)).collect()
    }

    fn affinity_keeps(&self) -> bool {
        let entry = self.affinity.as_ref().and_then(|affinity| affinity.entry.as_ref());
        entry.is_some_and(|entry| entry.verdict == "kept")
    }
}

impl Route {
    fn text(&self) -> String {
        match self.caller {
            0 => format!("class {}, as of every caller that is not known", self.class),
            number => format!("class {}, as caller {number} of this node", self.class),
        }
    }
}

impl Part {
    fn text(&self) -> String {
        let mut text = format!("{:.2}% of calls, {}:", self.share * 100.0, self.balancing);
        match self.members.as_slice() {
            [] => text += " refused, it has no members",
            members => {
                let members: Vec<_> = members
                    .iter()
                    .map(|member| format!("{}, {}", member.backend, member.state))
                    .collect();
                text += &format!(" {}", members.join("; "));
            }
        }
        text
    }
}

impl Affinity {
    fn text(&self) -> String {
        let Some(client) = self.client else {
            return "the client's address is not known".to_owned();
        };
        let Some(entry) = &self.entry else {
            return format!("nothing is remembered of client {client}");
        };
        let verdict = match entry.verdict {
            "kept" => String::new(),
            "expired" => format!(", longer than {} s", self.seconds),
            "out" => ", but it is out".to_owned(),
            _ => ", but it is no member any more".to_owned(),
        };
        format!(
            "client {client} was sent to {}, {} s ago{verdict}",
            entry.backend, entry.age_seconds
        )
    }
}

impl Field {
    fn text(&self) -> String {
        let name = self.field.name();
        let value = match self.value.as_deref() {
            None => "is not known",
            Some("") => "(none)",
            Some(value) => value,
        };
        match &self.number {
            Some(number) => format!("{name} {value}, as a number {number}"),
            None => format!("{name} {value}"),
        }
    }
}

impl Member {
    fn text(&self) -> String {
        let mut text = format!("{}, {}", self.backend, self.state);
        if let Some(weight) = self.weight {
            text += &format!(", weight {weight}");
        }
        if let Some(connections) = self.connections {
            text += &format!(", {connections} connections");
        }
        if let Some(share) = self.share {
            text += &format!(", {:.1}% of calls", share * 100.0);
        }
        text
    }
}
