//! The choice of a member where it is not evenly at random.

use etm_abi::{
    ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, Address, Backend, Balancing,
    Counter, HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD, HASH_CALLER_PORT, Target,
};
use etm_decide::{
    Call, Tables as _,
    balance::{at, balancing, best_of_few, least_connections, random_position},
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

/// What functions give where there is no member.
const NONE: u64 = u64::MAX;
/// Set where there is a position instead of a member.
const OUT: u64 = 1 << 63;

/// [`best_at`], or that as a function of its own.
pub type BestAt<F> = fn(&Caller<F>, Target, &Address, u16, u8) -> u64;

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
    best_at: BestAt<F>,
) -> Option<Member> {
    let target = frontend.target;
    let Balancing { algorithm, affinity, .. } = balancing(&Maps, target)?;
    let counted = algorithm == ALGORITHM_LEAST_CONNECTIONS;
    if affinity != 0 {
        let kept = kept(caller, frontend, address, affinity);
        if kept != NONE {
            let id = kept as u32;
            return Some(Member { id, pod: Maps.available(id)?, counted });
        }
    }
    let choice = if counted {
        less_loaded(target, random())
    } else {
        best_at(caller, target, address, port, protocol)
    };
    let id = if choice & OUT == 0 {
        choice as u32
    } else {
        let id = at_length(target, choice as u32);
        if id == NONE {
            return None;
        }
        id as u32
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

/// The member that has the position of a connection; where it is out, or one of many, [`OUT`] and
/// the position.
#[inline(always)]
pub fn best_at<F: Family>(
    caller: &Caller<F>,
    target: Target,
    address: &Address,
    port: u16,
    protocol: u8,
) -> u64 {
    let Some(balancing) = balancing(&Maps, target) else { return OUT };
    let position = position(caller, &balancing, address, port, protocol)
        .unwrap_or_else(|| random_position(random()));
    match best_of_few(&Maps, target, &balancing, position) {
        Some(id) if Maps.available(id).is_some() => id as u64,
        _ => OUT | position as u64,
    }
}

/// As [`best_at`], for programs whose stack has no room for it.
#[inline(never)]
pub fn best_at_apart<F: Family>(
    caller: &Caller<F>,
    target: Target,
    address: &Address,
    port: u16,
    protocol: u8,
) -> u64 {
    best_at(caller, target, address, port, protocol)
}

/// The member that has a position, however many have to be compared.
#[cold]
#[inline(never)]
fn at_length(target: Target, position: u32) -> u64 {
    let Some(balancing) = balancing(&Maps, target) else { return NONE };
    at(&Maps, target, &balancing, position).map_or(NONE, u64::from)
}

/// The less loaded of two members; where both are out, [`OUT`] and some position.
#[inline(never)]
fn less_loaded(target: Target, random: u32) -> u64 {
    match least_connections(&Maps, target, random) {
        Some(id) => id as u64,
        None => OUT | random_position(random) as u64,
    }
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

/// The position of a connection. None where it is to be random, and where a field is not known: of
/// a caller that is neither a Pod nor the node, and of a socket whose port the kernel has yet to
/// draw, as it draws one at random.
#[inline(always)]
fn position<F: Family>(
    caller: &Caller<F>,
    balancing: &Balancing,
    address: &Address,
    service_port: u16,
    protocol: u8,
) -> Option<u32> {
    if balancing.algorithm != ALGORITHM_CONSISTENT_HASH {
        return None;
    }
    let mut call = Call { service_port, protocol, ..Call::default() };
    if balancing.fields & HASH_CALLER_PORT != 0 {
        call.port = caller.source_port();
        if call.port == 0 {
            return None;
        }
    }
    if balancing.fields & CALLER != 0 {
        let Some(known) = callers::find(caller).filter(|known| known.pod != 0) else {
            count(Counter::CallerUnknown);
            return None;
        };
        call.pod = known.pod;
        call.namespace = known.namespace;
        if balancing.fields & HASH_CALLER_ADDRESS != 0 {
            let Some(own) = known.address(address) else {
                count(Counter::CallerUnknown);
                return None;
            };
            call.address = own;
        }
    }
    Some(etm_decide::position(balancing, &call))
}

/// The address of the client for affinity.
#[inline(always)]
fn client_address<F: Family>(caller: &Caller<F>, address: &Address) -> Option<Address> {
    let own = callers::find(caller).and_then(|known| known.address(address));
    if own.is_none() {
        count(Counter::CallerUnknown);
    }
    own
}
