//! `bpf_sock_addr`, read and written field by field.
//!
//! The verifier allows only certain widths at certain offsets and rewrites each access, so every
//! access is volatile: the compiler must neither merge nor repeat them.

use core::{ffi::c_void, marker::PhantomData, ptr};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{bpf_sock, bpf_sock_addr},
    helpers::bpf_get_netns_cookie,
    helpers::bpf_get_socket_cookie,
    programs::SockAddrContext,
};
use etm_abi::{Address, PROTOCOL_TCP, PROTOCOL_UDP, mapped};

use crate::affinity::Stays;

/// What a program returns to let the call go on.
pub const ALLOW: i32 = 1;
/// What a program returns to refuse the call.
pub const DENY: i32 = 0;

const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
/// What `protocol` of an MPTCP socket says.
pub const IPPROTO_MPTCP: u32 = 262;

/// The address family of a hook.
pub trait Family: Stays {
    /// The address that the caller named.
    fn address(ctx: *const bpf_sock_addr) -> Address;

    /// Puts another address in its place: of the same kind as the caller's, mapped or not.
    fn set_address(ctx: *mut bpf_sock_addr, address: &Address);
}

/// Hooks that see `sockaddr_in`.
pub struct V4;

impl Family for V4 {
    #[inline(always)]
    fn address(ctx: *const bpf_sock_addr) -> Address {
        // SAFETY: the context is valid for the whole program.
        mapped(unsafe { ptr::read_volatile(&raw const (*ctx).user_ip4) })
    }

    #[inline(always)]
    fn set_address(ctx: *mut bpf_sock_addr, address: &Address) {
        // SAFETY: the context is valid for the whole program.
        unsafe { ptr::write_volatile(&raw mut (*ctx).user_ip4, address[3]) };
    }
}

/// Hooks that see `sockaddr_in6`, IPv4-mapped addresses among them.
pub struct V6;

impl Family for V6 {
    #[inline(always)]
    fn address(ctx: *const bpf_sock_addr) -> Address {
        // SAFETY: the context is valid for the whole program.
        let word = |index| unsafe { ptr::read_volatile(&raw const (*ctx).user_ip6[index]) };
        [word(0), word(1), word(2), word(3)]
    }

    #[inline(always)]
    fn set_address(ctx: *mut bpf_sock_addr, address: &Address) {
        let set = |index: usize, word: u32| {
            // SAFETY: the context is valid for the whole program.
            unsafe { ptr::write_volatile(&raw mut (*ctx).user_ip6[index], word) };
        };
        set(0, address[0]);
        set(1, address[1]);
        set(2, address[2]);
        set(3, address[3]);
    }
}

/// One call of a process on one socket.
pub struct Caller<F> {
    ctx: SockAddrContext,
    family: PhantomData<F>,
}

impl<F: Family> Caller<F> {
    #[inline(always)]
    pub fn new(ctx: SockAddrContext) -> Self {
        Self { ctx, family: PhantomData }
    }

    #[inline(always)]
    pub fn as_ptr(&self) -> *mut c_void {
        self.ctx.as_ptr()
    }

    #[inline(always)]
    fn ip_protocol(&self) -> u32 {
        // SAFETY: the context is valid for the whole program.
        unsafe { ptr::read_volatile(&raw const (*self.ctx.sock_addr).protocol) }
    }

    /// Whether the socket is an MPTCP socket itself, not one of its subflows.
    #[inline(always)]
    pub fn is_mptcp(&self) -> bool {
        self.ip_protocol() == IPPROTO_MPTCP
    }

    /// TCP (for MPTCP too) or UDP; none for every other protocol.
    #[inline(always)]
    pub fn protocol(&self) -> Option<u8> {
        match self.ip_protocol() {
            IPPROTO_TCP | IPPROTO_MPTCP => Some(PROTOCOL_TCP),
            IPPROTO_UDP => Some(PROTOCOL_UDP),
            _ => None,
        }
    }

    #[inline(always)]
    pub fn address(&self) -> Address {
        F::address(self.ctx.sock_addr)
    }

    /// Port in network byte order.
    #[inline(always)]
    pub fn port(&self) -> u16 {
        // SAFETY: the context is valid for the whole program.
        unsafe { ptr::read_volatile(&raw const (*self.ctx.sock_addr).user_port) as u16 }
    }

    /// Replaces the address and port (network byte order) of the call.
    #[inline(always)]
    pub fn rewrite(&self, address: &Address, port: u16) {
        F::set_address(self.ctx.sock_addr, address);
        // SAFETY: the context is valid for the whole program.
        unsafe { ptr::write_volatile(&raw mut (*self.ctx.sock_addr).user_port, port as u32) };
    }

    /// The socket, as helpers take it.
    #[inline(always)]
    pub fn socket(&self) -> *mut c_void {
        // SAFETY: the context is valid for the whole program, and this field of the union is the
        // only one that is not padding.
        unsafe { ptr::read_volatile(&raw const (*self.ctx.sock_addr).__bindgen_anon_1.sk).cast() }
    }

    /// The port that the socket is bound to, network byte order; 0 where it is not bound yet.
    #[inline(always)]
    pub fn source_port(&self) -> u16 {
        let socket = self.socket().cast::<bpf_sock>();
        if socket.is_null() {
            return 0;
        }
        // SAFETY: not null, and the verifier allows to read this field of a socket.
        (unsafe { ptr::read_volatile(&raw const (*socket).src_port) } as u16).to_be()
    }

    /// Number of the socket, unique until the machine restarts.
    #[inline(always)]
    pub fn cookie(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_socket_cookie(self.as_ptr()) }
    }

    /// Cookie of the socket's network namespace.
    #[inline(always)]
    pub fn netns(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_netns_cookie(self.as_ptr()) }
    }
}
