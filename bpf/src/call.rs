//! `connect()` and `getpeername()`.

use etm_abi::{
    Address, BACKEND_AVAILABLE, Counter, FRONTEND_ANYWAY, FRONTEND_BALANCED, FRONTEND_ROUTED,
    PROTOCOL_TCP, Target,
};
use etm_decide::pick;

use crate::{
    balance::{self, Member},
    callers::{CONDITIONS, Verdict, judge},
    context::{ALLOW, Caller, Family},
    ejection,
    flows::{self, Told},
    frontends, maps, mptcp, outcomes,
    random::random,
    replies,
    report::{count, refuse},
    route, settings, shun,
    socket::Socket,
    tables::{Anyway, Maps},
};

/// Sends a socket to a Pod, refuses it, or lets it pass.
#[inline(always)]
pub fn connect<F: Family>(caller: &Caller<F>) -> i32 {
    let Some(protocol) = caller.protocol() else { return ALLOW };
    let (address, port) = (caller.address(), caller.port());
    let Some(mut frontend) = frontends::find(&address, port, protocol) else {
        return unknown_port(caller, &address, protocol, Counter::ConnectUnknownPort);
    };
    if frontend.target.flags() & CONDITIONS != 0 {
        match judge(caller, &frontend, &address, port, protocol) {
            Verdict::Admitted => {}
            Verdict::Elsewhere => return ALLOW,
            Verdict::Excluded => {
                return refuse(caller, &frontend, protocol, Counter::ConnectSource);
            }
        }
    }
    if frontend.target.flags() & FRONTEND_ROUTED != 0 && !route::follow(caller, &mut frontend) {
        return refuse(caller, &frontend, protocol, Counter::ConnectDenied);
    }
    let cookie = caller.cookie();
    flows::expect(cookie);
    let member = if frontend.target.flags() & FRONTEND_BALANCED == 0 {
        pick(&Maps, frontend.target, random()).map(|(id, pod)| Member { id, pod, counted: false })
    } else {
        balance::member::<F, true>(caller, &frontend, &address, port, protocol)
    };
    let Some(Member { mut id, mut pod, counted }) = member.or_else(|| anyway(frontend.target))
    else {
        return refuse(caller, &frontend, protocol, Counter::ConnectNoEndpoints);
    };
    if pod.state != BACKEND_AVAILABLE {
        ejection::begin_probation(id);
    }
    if pod.shunned != 0 {
        id = shun::instead_of_shunned(caller, frontend.target, id);
        let Some(other) = maps::BACKENDS.get(id) else { return ALLOW };
        pod = other;
    }
    let told = Told {
        service: &address,
        service_port: port,
        backend: id,
        pod,
        counted,
        phase: outcomes::asked(protocol),
    };
    let owner = if protocol == PROTOCOL_TCP { mptcp::owner(caller) } else { None };
    match owner {
        Some(owner) => mptcp::record(owner, &told),
        None => flows::record(cookie, &told),
    }
    if pod.reply_timeout != 0 {
        replies::begin(Socket::of(caller.socket()), cookie);
    }
    caller.rewrite(&pod.address, pod.port);
    count(Counter::ConnectForwarded);
    ALLOW
}

/// Some member of a frontend with [`FRONTEND_ANYWAY`] whose members are all out of service.
#[inline(always)]
fn anyway(target: Target) -> Option<Member> {
    if target.flags() & FRONTEND_ANYWAY == 0 {
        return None;
    }
    let id = any(target)?;
    Some(Member { id, pod: maps::BACKENDS.get(id)?, counted: false })
}

/// Some member, in service or not.
#[inline(always)]
pub fn any(target: Target) -> Option<u32> {
    match etm_any(target.0, random() as u64) {
        NONE => None,
        id => Some(id as u32),
    }
}

/// What [`etm_any`] gives where there is no member.
const NONE: u64 = u64::MAX;

/// Global, so that the verifier looks at it once.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_any(target: u64, random: u64) -> u64 {
    pick(&Anyway, Target(target), random as u32).map_or(NONE, |(id, _)| id as u64)
}

/// What becomes of a call to an address and port that have no frontend.
#[inline(always)]
pub fn unknown_port<F: Family>(
    caller: &Caller<F>,
    address: &Address,
    protocol: u8,
    counter: Counter,
) -> i32 {
    if settings::refuse_unknown_port()
        && let Some(frontend) = frontends::any_port(address)
    {
        return refuse(caller, &frontend, protocol, counter);
    }
    ALLOW
}

/// Shows a connected socket the Service that it asked for.
#[inline(always)]
pub fn peer<F: Family>(caller: &Caller<F>) -> i32 {
    let (address, port) = (caller.address(), caller.port());
    let told = if caller.is_mptcp() {
        mptcp::service(caller, &address, port)
    } else {
        flows::service(caller.cookie(), &address, port)
    };
    if let Some((service, service_port)) = told {
        caller.rewrite(&service, service_port);
        count(Counter::PeerTranslated);
    }
    ALLOW
}
