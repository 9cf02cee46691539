//! `etm explain`: where a call goes and why, by the code and over the maps that decide it.

mod asked;
mod balance;
mod caller;
mod explanation;
mod members;
mod place;
mod route;
mod steps;
mod text;

pub(crate) use asked::{From, To};

use std::net::SocketAddr;

use anyhow::bail;
use etm_abi::CALLER_NODE;
use etm_dataplane::View;
use etm_model::{Family, FrontendKey, Listener, Protocol};

use self::{caller::Known, explanation::Explanation, place::Frontends, steps::Steps};
use crate::{
    cli::{ExplainArgs, IpFamily},
    output::print,
};

/// How often the maps may change beneath an explanation before it is given up.
const TRIES: u32 = 100;

/// How many choices an error lists.
const CHOICES: usize = 10;

pub(crate) fn run(arguments: &ExplainArgs) -> anyhow::Result<()> {
    let view = View::open(&arguments.pin.pin)?;
    let explanation = explain(&view, arguments)?;
    print(&explanation, || explanation.to_string(), arguments.output)
}

fn explain(view: &View, arguments: &ExplainArgs) -> anyhow::Result<Explanation> {
    let known = Known::find(view, &arguments.from)?;
    let node = view.callers()?.remove(&CALLER_NODE).unwrap_or_default();
    let own = node.ipv4.map(Into::into).into_iter().chain(node.ipv6.map(Into::into));
    let frontends =
        Frontends { all: view.frontends(), names: view.service_names()?, own: own.collect() };
    let family = arguments.family.map(|family| match family {
        IpFamily::V4 => Family::V4,
        IpFamily::V6 => Family::V6,
    });
    let key = frontends.find(&arguments.to, family)?;
    let (port, protocol) = match key.listener {
        Listener::Port(port, protocol) => (port, protocol),
        Listener::AnyPort => (0, Protocol::Tcp),
    };
    let steps = Steps {
        view,
        live: &view.live(),
        known: &known,
        key,
        address: SocketAddr::new(key.ip, port),
        protocol,
        source_port: arguments.source_port,
        ports: frontends.ports(key.ip),
    };
    undisturbed(view, &key, &steps)
}

/// Explains by one table from beginning to end: each change of a frontend gives it a table of a new
/// generation, and leaves the old one as it is for a while.
fn undisturbed(view: &View, key: &FrontendKey, steps: &Steps<'_>) -> anyhow::Result<Explanation> {
    for _ in 0..TRIES {
        let before = view.frontend(key);
        let explanation = steps.explain(before.as_ref())?;
        if view.frontend(key) == before {
            return Ok(explanation);
        }
    }
    bail!("{}: its members change all the time; try again", steps.address)
}

/// What there is instead of what was asked for: names that have most in common with it first.
fn choices<'a>(there: impl IntoIterator<Item = &'a str>, asked: &str) -> String {
    let common = |name: &str| name.bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count();
    let mut there: Vec<_> = there.into_iter().collect();
    if there.is_empty() {
        return "there is none at all".to_owned();
    }
    there.sort_by_key(|name| (std::cmp::Reverse(common(name)), *name));
    let more = there.len().saturating_sub(CHOICES);
    there.truncate(CHOICES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let verb = if there.len() == 1 { "is" } else { "are" };
    format!("there {verb} {}{more}", there.join(", "))
}
