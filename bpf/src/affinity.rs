//! Clients that stay with a member: `sessionAffinity: ClientIP`.

use aya_ebpf::{bindings::bpf_sock_addr, helpers::bpf_ktime_get_ns, programs::SockAddrContext};
use etm_abi::{Address, Affinity, AffinityKey, Class, Counter, Target};
use etm_decide::affinity::{is_expired, stays};

use crate::{
    balance::NONE,
    callers::{self, OwnAddress},
    context::{Caller, Family, V4, V6},
    frontends, maps,
    report::count,
    route,
    tables::Maps,
};

/// The member that a client stays with, and that it stays with another: global functions, which the
/// verifier looks at once and not once for each way that leads there. They are given the context and
/// look the frontend up anew, since a pointer into a map cannot be passed to them.
pub trait Stays {
    fn kept(ctx: *mut bpf_sock_addr, protocol: u8, seconds: u32) -> u64;

    /// `target` is what the member was chosen from.
    fn stay(ctx: *mut bpf_sock_addr, target: Target, protocol: u8, id: u32);
}

macro_rules! stays {
    ($family:ident, $kept:ident, $stay:ident) => {
        impl Stays for $family {
            #[inline(always)]
            fn kept(ctx: *mut bpf_sock_addr, protocol: u8, seconds: u32) -> u64 {
                $kept(ctx, protocol as u64, seconds as u64)
            }

            #[inline(always)]
            fn stay(ctx: *mut bpf_sock_addr, target: Target, protocol: u8, id: u32) {
                $stay(ctx, target.0, protocol as u64, id as u64);
            }
        }

        // SAFETY: no other symbol has the name.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $kept(ctx: *mut bpf_sock_addr, protocol: u64, seconds: u64) -> u64 {
            kept::<$family>(ctx, protocol as u8, seconds as u32)
        }

        // SAFETY: no other symbol has the name.
        #[unsafe(no_mangle)]
        #[cold]
        #[inline(never)]
        extern "C" fn $stay(ctx: *mut bpf_sock_addr, target: u64, protocol: u64, id: u64) -> u64 {
            stay::<$family>(ctx, Target(target), protocol as u8, id as u32)
        }
    };
}
stays!(V4, etm_kept4, etm_stay4);
stays!(V6, etm_kept6, etm_stay6);

#[inline(always)]
fn kept<F: Family>(ctx: *mut bpf_sock_addr, protocol: u8, seconds: u32) -> u64 {
    match client::<F>(ctx, protocol) {
        None => NONE,
        Some((client, class)) => client.kept(class, seconds).map_or(NONE, u64::from),
    }
}

/// Remembers the member of a client, unless the table has changed since it was chosen and the new
/// one does not have it.
#[inline(always)]
fn stay<F: Family>(ctx: *mut bpf_sock_addr, target: Target, protocol: u8, id: u32) -> u64 {
    if let Some((client, class)) = client::<F>(ctx, protocol)
        && (class == Class::of(target) || route::has_member(class, id))
    {
        client.keep(id);
    }
    0
}

/// The client of a call, and what it is to get.
#[inline(always)]
fn client<F: Family>(ctx: *mut bpf_sock_addr, protocol: u8) -> Option<(Client, Class)> {
    let caller = Caller::<F>::new(SockAddrContext { sock_addr: ctx });
    let (address, port) = (caller.address(), caller.port());
    let frontend = frontends::find(&address, port, protocol)?;
    let (generation, class) = route::present(&caller, &frontend)?;
    let own = callers::find(&caller, OwnAddress { like: &address }).flatten();
    let Some(own) = own else {
        count(Counter::CallerUnknown);
        return None;
    };
    Some((Client::new(frontend.service(), generation, own), class))
}

/// One client of one port of a Service.
pub struct Client {
    key: AffinityKey,
    /// Of the table that the client finds.
    generation: u32,
    now: u64,
}

impl Client {
    #[inline(always)]
    pub fn new(service: u32, generation: u32, client: Address) -> Self {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        Self { key: AffinityKey { service, client }, generation, now }
    }

    /// The member that the client stays with, if it connected at most `seconds` ago and the member
    /// is still usable.
    #[inline(always)]
    pub fn kept(&self, class: Class, seconds: u32) -> Option<u32> {
        // SAFETY: the value is copied at once; a replaced one is as good as the one before it.
        let affinity = *unsafe { maps::AFFINITY.get(self.key) }?;
        if is_expired(&affinity, self.now, seconds) {
            return None;
        }
        let (backend, renew) = stays(&Maps, self.generation, class, &affinity, self.now)?;
        if renew {
            self.keep(backend);
        }
        Some(backend)
    }

    /// Remembers a member.
    #[inline(always)]
    pub fn keep(&self, backend: u32) {
        let affinity = Affinity { time: self.now, backend, generation: self.generation };
        if maps::AFFINITY.insert(self.key, affinity, 0).is_err() {
            count(Counter::FlowLost);
        }
    }
}
