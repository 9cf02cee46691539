//! The choice of a member where it is not evenly at random.

use etm_abi::{
    ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, Address, Backend, Balancing, Counter,
    HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD, HASH_CALLER_PORT, Target,
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
    let balancing = balancing(&Maps, target)?;
    let Balancing { algorithm, affinity, .. } = balancing;
    let counted = algorithm == ALGORITHM_LEAST_CONNECTIONS;
    if affinity != 0 {
        let kept = kept(caller, frontend, address, affinity);
        if kept != NONE {
            let id = kept as u32;
            return Some(Member { id, pod: Maps.available(id)?, counted });
        }
    }
    let choice = if counted {
        etm_less_loaded(target.0, random() as u64)
    } else {
        let position = position(caller, &balancing, address, port, protocol)
            .unwrap_or_else(|| random_position(random()));
        etm_best_at(target.0, position as u64)
    };
    if choice == NONE {
        return None;
    }
    let id = if choice & OUT == 0 {
        choice as u32
    } else {
        let id = etm_at_length(target.0, choice & !OUT);
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

/// The member that has a position; where it is out, or one of many, [`OUT`] and the position.
///
/// Global, as the two below: the verifier looks at it once and not once for each way that leads
/// here, which are thousands.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn etm_best_at(target: u64, position: u64) -> u64 {
    let (target, position) = (Target(target), position as u32);
    let Some(balancing) = balancing(&Maps, target) else { return NONE };
    match best_of_few(&Maps, target, &balancing, position) {
        Some(id) if Maps.available(id).is_some() => id as u64,
        _ => OUT | position as u64,
    }
}

/// The member that has a position, however many have to be compared.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_at_length(target: u64, position: u64) -> u64 {
    let target = Target(target);
    let Some(balancing) = balancing(&Maps, target) else { return NONE };
    at(&Maps, target, &balancing, position as u32).map_or(NONE, u64::from)
}

/// The less loaded of two members; where both are out, [`OUT`] and some position.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn etm_less_loaded(target: u64, random: u64) -> u64 {
    match least_connections(&Maps, Target(target), random as u32) {
        Some(id) => id as u64,
        None => OUT | random_position(random as u32) as u64,
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
