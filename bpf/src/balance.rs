//! The choice of a member where it is not evenly at random.

use etm_abi::{
    ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, Address, Backend, Balancing, Counter,
    HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD, HASH_CALLER_PORT, Target,
};
use etm_decide::{
    Call, Tables as _,
    balance::{self, balancing, best_of_few, least_connections, random_position},
};

use crate::{
    callers::{self, OwnAddress, Question, Record},
    choices::Key,
    context::{Caller, Family},
    frontends::Frontend,
    random::random,
    report::count,
    tables::Maps,
};

/// Fields that depend on who calls.
const CALLER: u8 = HASH_CALLER_POD | HASH_CALLER_ADDRESS | HASH_CALLER_NAMESPACE;

/// What functions give where there is no member.
pub const NONE: u64 = u64::MAX;

/// A member that was chosen.
pub struct Member {
    pub id: u32,
    pub pod: &'static Backend,
    /// Whether `CONNECTIONS` is to count the connection.
    pub counted: bool,
}

/// Chooses a member of a frontend with `FRONTEND_BALANCED`; none where no member is usable. With
/// `REMEMBER` by what is remembered of the caller where that says it; a socket that keeps its member by
/// itself has no use for it.
///
/// In functions of their own, one after the other and none within another, since the stack of all
/// calls together is 512 bytes.
#[inline(always)]
pub fn member<F: Family, const REMEMBER: bool>(
    caller: &Caller<F>,
    frontend: &Frontend,
    address: &Address,
    port: u16,
    protocol: u8,
) -> Option<Member> {
    let target = frontend.target;
    let balancing = balancing(&Maps, target)?;
    let Balancing { algorithm, affinity, .. } = balancing;
    let key = if REMEMBER { key(&balancing, frontend) } else { None };
    if let Some(id) = key.and_then(|key| key.recall())
        && let Some(pod) = Maps.available(id)
    {
        return Some(Member { id, pod, counted: false });
    }
    let counted = algorithm == ALGORITHM_LEAST_CONNECTIONS;
    if affinity != 0 {
        let kept = F::kept(caller.as_ptr().cast(), protocol, affinity);
        if kept != NONE {
            let id = kept as u32;
            return Some(Member { id, pod: Maps.available(id)?, counted });
        }
    }
    let (best, position) = if counted {
        less_loaded(target)
    } else {
        let hashed = position(caller, &balancing, address, port, protocol);
        let position = hashed.unwrap_or_else(|| random_position(random()));
        let best = best_of_few(&Maps, target, &balancing, position);
        if let (Some(key), Some(_), Some(id)) = (key, hashed, best) {
            key.note(id);
        }
        (best, position)
    };
    let (id, pod) = match best.and_then(|id| Some((id, Maps.available(id)?))) {
        Some(found) => found,
        None => at_length(target, &balancing, position)?,
    };
    if affinity != 0 {
        F::stay(caller.as_ptr().cast(), target, protocol, id);
    }
    Some(Member { id, pod, counted })
}

/// Under what the choice is remembered, where the caller and the frontend decide it: a generation is one
/// frontend's, so that the Service's port and the protocol are told by it.
#[inline(always)]
fn key(balancing: &Balancing, frontend: &Frontend) -> Option<Key> {
    let by_caller = balancing.algorithm == ALGORITHM_CONSISTENT_HASH
        && balancing.affinity == 0
        && balancing.fields & CALLER != 0
        && balancing.fields & HASH_CALLER_PORT == 0;
    if by_caller { Key::new(frontend.target, frontend.generation()) } else { None }
}

/// The member that has a position, however many have to be compared.
#[inline(always)]
fn at_length(
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<(u32, &'static Backend)> {
    let [head, _, place, _] = balancing.words();
    match etm_at_length(target.0, head, place, position as u64) {
        NONE => None,
        id => Some((id as u32, Maps.available(id as u32)?)),
    }
}

/// Global, as the one below: the verifier looks at it once and not once for each way that leads
/// here, which are thousands. It is given the words of the header that it needs, since it has to do
/// with little stack: that of all calls together is 512 bytes.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_at_length(target: u64, head: u64, place: u64, position: u64) -> u64 {
    let balancing = Balancing::of([head, 0, place, 0]);
    balance::at_length(&Maps, Target(target), &balancing, position as u32).map_or(NONE, u64::from)
}

/// The less loaded of two members, if one of them is usable, and some position.
#[inline(always)]
fn less_loaded(target: Target) -> (Option<u32>, u32) {
    let random = random();
    let id = match etm_less_loaded(target.0, random as u64) {
        NONE => None,
        id => Some(id as u32),
    };
    (id, random_position(random))
}

// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn etm_less_loaded(target: u64, random: u64) -> u64 {
    least_connections(&Maps, Target(target), random as u32).map_or(NONE, u64::from)
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
        let by_address = balancing.fields & HASH_CALLER_ADDRESS != 0;
        let identity = Identity { address: by_address.then_some(address) };
        let Some((pod, namespace, own)) = callers::find_inline(caller, identity).flatten() else {
            count(Counter::CallerUnknown);
            return None;
        };
        call.pod = pod;
        call.namespace = namespace;
        call.address = own;
    }
    Some(etm_decide::position(balancing, &call))
}

/// What is hashed of a caller: its name and namespace as numbers, and its address where one is given
/// that it is to be like. None where one of them is not known.
#[derive(Clone, Copy)]
struct Identity<'a> {
    address: Option<&'a Address>,
}

impl Question for Identity<'_> {
    type Answer = Option<(u64, u64, Address)>;

    #[inline(always)]
    fn ask(self, record: impl Record) -> Self::Answer {
        let own = match self.address {
            Some(like) => OwnAddress { like }.ask(record)?,
            None => Address::default(),
        };
        let pod = record.pod();
        (pod != 0).then(|| (pod, record.namespace(), own))
    }
}
