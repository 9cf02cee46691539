//! The choice of a member where it is not evenly at random.

use etm_abi::{
    ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, Address, Backend, Balancing,
    Counter, HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD, HASH_CALLER_PORT, Target,
    is_mapped, mapped,
};
use etm_decide::{
    Call, Tables as _,
    balance::{balancing, best, best_usable, least_connections, random_position},
};

use crate::{
    affinity::Client,
    callers,
    context::{Caller, Family},
    frontends::Frontend,
    random::random,
    report::count,
    tables::Maps,
};

/// Fields that depend on who calls.
const CALLER: u8 = HASH_CALLER_POD | HASH_CALLER_ADDRESS | HASH_CALLER_NAMESPACE;

/// What functions give where there is no member to name.
const NONE: u64 = u64::MAX;

/// A member that was chosen.
pub struct Member {
    pub id: u32,
    pub pod: &'static Backend,
    /// Whether `CONNECTIONS` is to count the connection.
    pub counted: bool,
}

/// Chooses a member of a frontend with `FRONTEND_BALANCED`; none where no member is usable.
///
/// In functions of their own, one after the other and none within another, since the stack of all
/// calls together is 512 bytes.
#[inline(always)]
pub fn member<F: Family>(
    caller: &Caller<F>,
    frontend: &Frontend,
    address: &Address,
    port: u16,
    protocol: u8,
) -> Option<Member> {
    let target = frontend.target;
    let Balancing { algorithm, affinity, weighted, .. } = balancing(&Maps, target)?;
    let counted = algorithm == ALGORITHM_LEAST_CONNECTIONS;
    if affinity != 0 {
        let kept = kept(caller, frontend, address, affinity);
        if kept != NONE {
            let id = kept as u32;
            return Some(Member { id, pod: Maps.available(id)?, counted });
        }
    }
    let (position, found) = if counted {
        let random = random();
        (random_position(random), less_loaded(target, random))
    } else {
        let position = position(caller, target, address, port, protocol);
        (position, best_at(target, position))
    };
    let id = if found == NONE {
        best_usable(&Maps, target, weighted != 0, position)?
    } else {
        found as u32
    };
    if affinity != 0 {
        stay(caller, frontend, address, id);
    }
    Some(Member { id, pod: Maps.available(id)?, counted })
}

/// The member that a client stays with.
#[inline(never)]
fn kept<F: Family>(
    caller: &Caller<F>,
    frontend: &Frontend,
    address: &Address,
    seconds: u32,
) -> u64 {
    let Some((generation, target)) = frontend.present() else { return NONE };
    let Some(client) = client_address(caller, address) else { return NONE };
    let client = Client::new(frontend.service(), generation, client);
    client.kept(target, seconds).map_or(NONE, u64::from)
}

/// The member that has a position, where it is usable.
#[inline(never)]
fn best_at(target: Target, position: u32) -> u64 {
    let Some(balancing) = balancing(&Maps, target) else { return NONE };
    let best = best(&Maps, target, &balancing, position);
    best.filter(|id| Maps.available(*id).is_some()).map_or(NONE, u64::from)
}

/// The less loaded of two members.
#[inline(never)]
fn less_loaded(target: Target, random: u32) -> u64 {
    least_connections(&Maps, target, random).map_or(NONE, u64::from)
}

/// Remembers the member of a client.
#[cold]
#[inline(never)]
fn stay<F: Family>(caller: &Caller<F>, frontend: &Frontend, address: &Address, id: u32) {
    if let Some((generation, _)) = frontend.present()
        && let Some(client) = client_address(caller, address)
    {
        Client::new(frontend.service(), generation, client).keep(id);
    }
}

/// The position of a connection. At random where that is asked for, and where a field is not known:
/// of a caller that is neither a Pod nor the node, and of a socket whose port the kernel has yet to
/// draw, as it draws one at random.
#[inline(never)]
fn position<F: Family>(
    caller: &Caller<F>,
    target: Target,
    address: &Address,
    service_port: u16,
    protocol: u8,
) -> u32 {
    let anywhere = || random_position(random());
    let Some(balancing) = balancing(&Maps, target) else { return anywhere() };
    if balancing.algorithm != ALGORITHM_CONSISTENT_HASH {
        return anywhere();
    }
    let mut call = Call { service_port, protocol, ..Call::default() };
    if balancing.fields & HASH_CALLER_PORT != 0 {
        call.port = caller.source_port();
        if call.port == 0 {
            return anywhere();
        }
    }
    if balancing.fields & CALLER != 0 {
        let Some(known) = callers::find(caller).filter(|known| known.pod != 0) else {
            count(Counter::CallerUnknown);
            return anywhere();
        };
        call.pod = known.pod;
        call.namespace = known.namespace;
        if balancing.fields & HASH_CALLER_ADDRESS != 0 {
            let Some(own) = address_of(known, address) else {
                count(Counter::CallerUnknown);
                return anywhere();
            };
            call.address = own;
        }
    }
    etm_decide::position(&balancing, &call)
}

/// The address of the client for affinity.
#[inline(always)]
fn client_address<F: Family>(caller: &Caller<F>, address: &Address) -> Option<Address> {
    let own = callers::find(caller).and_then(|known| address_of(known, address));
    if own.is_none() {
        count(Counter::CallerUnknown);
    }
    own
}

/// A caller's address of the family of a Service's address; none where it is not known, or all
/// those whose address is not known would be one client.
#[inline(always)]
fn address_of(caller: &etm_abi::Caller, service: &Address) -> Option<Address> {
    if is_mapped(service) {
        (caller.ipv4 != 0).then_some(mapped(caller.ipv4))
    } else {
        (caller.ipv6 != [0; 4]).then_some(caller.ipv6)
    }
}
