//! What a caller gets of a frontend with a route.

use etm_abi::{Class, Counter, FRONTEND_ROUTED, Target};
use etm_decide::route::one_of_two;

use crate::{
    callers,
    context::{Caller, Family},
    frontends::Frontend,
    random::random,
    report::count,
    tables::Maps,
};

/// Puts what the caller gets in the place of where a frontend leads; `false` where it is refused.
#[inline(always)]
pub fn follow<F: Family>(caller: &Caller<F>, frontend: &mut Frontend) -> bool {
    let Some(target) = class(caller, frontend.target).and_then(choose) else { return false };
    frontend.target = target;
    true
}

/// What a call gets of its class; none where it is refused.
#[inline(always)]
pub fn choose(class: Class) -> Option<Target> {
    if let Some(target) = class.whole() {
        return Some(target);
    }
    if class.parts().1 == 2 {
        return one_of_two(&Maps, class, random());
    }
    match etm_part(class.0, random() as u64) {
        NONE => None,
        target => Some(Target(target)),
    }
}

/// The generation of what a frontend leads to, then what the caller gets of it: of that generation or
/// a newer one. None where the frontend has just gone.
#[inline(always)]
pub fn present<F: Family>(caller: &Caller<F>, frontend: &Frontend) -> Option<(u32, Class)> {
    let (generation, target) = frontend.present()?;
    if target.flags() & FRONTEND_ROUTED == 0 {
        return Some((generation, Class::of(target)));
    }
    Some((generation, class(caller, target).unwrap_or(Class::DENIED)))
}

#[inline(always)]
fn class<F: Family>(caller: &Caller<F>, route: Target) -> Option<Class> {
    // Where everyone gets the same, it is not asked who calls.
    let number = if route.members() == 0 { 0 } else { number(caller) };
    etm_decide::route::class(&Maps, route, number)
}

/// The caller's number in routes.
#[inline(always)]
fn number<F: Family>(caller: &Caller<F>) -> u32 {
    match callers::find_inline(caller, callers::Number) {
        Some(number) => number,
        None => {
            count(Counter::CallerUnknown);
            0
        }
    }
}

/// What [`etm_part`] gives where there is none.
const NONE: u64 = 0;

/// Global, as the one below: the verifier looks at it once and not once for each way that leads here.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn etm_part(class: u64, random: u64) -> u64 {
    etm_decide::route::part(&Maps, Class(class), random as u32).map_or(NONE, |target| target.0)
}

/// Whether a backend is a member of what a class leads to.
#[inline(always)]
pub fn has_member(class: Class, backend: u32) -> bool {
    etm_has_member(class.0, backend as u64) != 0
}

// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_has_member(class: u64, backend: u64) -> u64 {
    etm_decide::route::has_member(&Maps, Class(class), backend as u32) as u64
}
