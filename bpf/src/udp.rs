//! `sendmsg()` and `recvmsg()` of UDP sockets that are not connected.

use etm_abi::{
    Address, BACKEND_AVAILABLE, Backend, Class, Counter, FLOW_REPLIES, FLOW_SETTLED,
    FRONTEND_ANYWAY, FRONTEND_BALANCED, PROTOCOL_UDP, Target, UdpFlow, UdpFlowKey, UdpReverse,
    UdpReverseKey,
};
use etm_decide::{keep, pick};

use crate::{
    balance,
    call::{any, unknown_port},
    callers::{CONDITIONS, Verdict, judge},
    context::{ALLOW, Caller, Family},
    ejection, flows, frontends, maps,
    random::random,
    record::now,
    replies,
    report::{count, refuse},
    route, shun,
    tables::Maps,
};

/// Sends a datagram to the Pod that the socket keeps for the Service, or to a newly chosen one.
#[inline(always)]
pub fn send<F: Family>(caller: &Caller<F>) -> i32 {
    let (address, port) = (caller.address(), caller.port());
    let Some(mut frontend) = frontends::find(&address, port, PROTOCOL_UDP) else {
        return unknown_port(caller, &address, PROTOCOL_UDP, Counter::SendUnknownPort);
    };
    if frontend.target.flags() & CONDITIONS != 0 {
        match judge(caller, &frontend, &address, port, PROTOCOL_UDP) {
            Verdict::Admitted => {}
            Verdict::Elsewhere => return ALLOW,
            Verdict::Excluded => {
                return refuse(caller, &frontend, PROTOCOL_UDP, Counter::SendSource);
            }
        }
    }
    let key = UdpFlowKey { cookie: caller.cookie(), address, port, pad: [0; 3] };
    let Some((generation, class)) = route::present(caller, &frontend) else { return ALLOW };
    let may_stay =
        |id: u32, pod: &Backend| pod.shunned == 0 || !shun::is_shunned(caller.netns(), id, now());
    let kept = known(kept(&key, generation, class)).filter(|(id, pod)| may_stay(*id, pod));
    let (id, pod, counter) = match kept {
        Some((id, pod)) => (id, pod, Counter::SendKept),
        None => {
            let Some(target) = route::choose(class) else {
                return refuse(caller, &frontend, PROTOCOL_UDP, Counter::SendDenied);
            };
            // From here on what was present when the generation was.
            frontend.target = target;
            let chosen = if target.flags() & FRONTEND_BALANCED == 0 {
                pick(&Maps, target, random())
            } else {
                balance::member::<F, false>(caller, &frontend, &address, port, PROTOCOL_UDP)
                    .map(|member| (member.id, member.pod))
            };
            let Some((mut id, mut pod)) = chosen.or_else(|| anyway(target)) else {
                return refuse(caller, &frontend, PROTOCOL_UDP, Counter::SendNoEndpoints);
            };
            if pod.shunned != 0 {
                id = shun::instead_of_shunned(caller, frontend.target, id);
                let Some(other) = maps::BACKENDS.get(id) else { return ALLOW };
                pod = other;
            }
            remember(&key, UdpFlow { backend: id, generation, awaited: 0, incarnation: 0 });
            (id, pod, Counter::SendForwarded)
        }
    };
    if pod.state != BACKEND_AVAILABLE {
        ejection::begin_probation(id);
    }
    expect_reply(&key, pod);
    if pod.reply_timeout != 0 {
        let phase = replies::sent(caller, &key);
        if phase != 0 {
            flows::record_unconnected(&key, phase);
        }
    }
    caller.rewrite(&pod.address, pod.port);
    count(counter);
    ALLOW
}

/// Some member of a frontend with [`FRONTEND_ANYWAY`] whose members are all out of service.
#[inline(always)]
fn anyway(target: Target) -> Option<(u32, &'static Backend)> {
    if target.flags() & FRONTEND_ANYWAY == 0 {
        return None;
    }
    let id = any(target)?;
    Some((id, maps::BACKENDS.get(id)?))
}

/// The backend that the socket was given before, if it is still usable for this frontend; else
/// [`NONE`].
#[inline(never)]
fn kept(key: &UdpFlowKey, generation: u32, class: Class) -> u64 {
    // SAFETY: the value is copied at once; a replaced one is as good as the one before it.
    let Some(flow) = (unsafe { maps::UDP_FLOWS.get(key) }) else { return NONE };
    let flow = *flow;
    let Some((current, _)) = keep(&Maps, generation, class, flow) else { return NONE };
    if current.generation != flow.generation {
        remember(key, current);
    }
    flow.backend as u64
}

/// What [`kept`] gives where there is none: functions of their own give numbers.
const NONE: u64 = u64::MAX;

#[inline(always)]
fn known(id: u64) -> Option<(u32, &'static Backend)> {
    if id == NONE { None } else { Some((id as u32, maps::BACKENDS.get(id as u32)?)) }
}

#[inline(never)]
fn remember(key: &UdpFlowKey, flow: UdpFlow) {
    if maps::UDP_FLOWS.insert(key, flow, 0).is_err() {
        count(Counter::FlowLost);
    }
}

/// Makes replies of the Pod appear to come from the Service. The look-up of an entry that is there
/// already also keeps it from being evicted while the socket only sends.
///
/// A function of its own, so that the stack that it needs is not needed during the choice as well.
#[inline(never)]
fn expect_reply(sent: &UdpFlowKey, pod: &Backend) {
    let key =
        UdpReverseKey { cookie: sent.cookie, address: pod.address, port: pod.port, pad: [0; 3] };
    let expected = (pod.reply_timeout != 0) as u16;
    // SAFETY: the value is only compared.
    let known = unsafe { maps::UDP_REVERSE.get(key) };
    if known.is_some_and(|known| {
        known.port == sent.port && known.address == sent.address && known.expected == expected
    }) {
        return;
    }
    let value = UdpReverse { address: sent.address, port: sent.port, expected };
    if maps::UDP_REVERSE.insert(key, value, 0).is_err() {
        count(Counter::FlowLost);
    }
}

/// Shows a received datagram as coming from the Service that the socket sent to.
#[inline(always)]
pub fn receive<F: Family>(caller: &Caller<F>) -> i32 {
    let cookie = caller.cookie();
    let (address, port) = (caller.address(), caller.port());
    let source = match flows::service_and_phase(cookie, &address, port) {
        Some((service, phase)) => {
            if phase & (FLOW_REPLIES | FLOW_SETTLED) == FLOW_REPLIES {
                replies::heard(cookie);
            }
            Some(service)
        }
        None => replied(cookie, address, port),
    };
    if let Some((service, service_port)) = source {
        caller.rewrite(&service, service_port);
        count(Counter::ReceiveTranslated);
    }
    ALLOW
}

#[inline(always)]
fn replied(cookie: u64, address: Address, port: u16) -> Option<(Address, u16)> {
    let key = UdpReverseKey { cookie, address, port, pad: [0; 3] };
    // SAFETY: the value is copied at once.
    let reverse = *unsafe { maps::UDP_REVERSE.get(key) }?;
    let service = (reverse.address, reverse.port);
    if reverse.expected != 0 {
        let sent = UdpFlowKey { cookie, address: service.0, port: service.1, pad: [0; 3] };
        replies::received(&sent, &key);
    }
    Some(service)
}
