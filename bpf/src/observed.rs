//! `bpf_sock_ops`, as far as outcomes are read from it.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::bpf_sock_ops,
    helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_sock_ops_cb_flags_set},
    programs::SockOpsContext,
};
use etm_abi::Flow;

use crate::{flows, mptcp};

/// One call of the program, for one socket.
pub struct Observed {
    ops: *mut bpf_sock_ops,
}

macro_rules! field {
    ($name:ident, $field:ident) => {
        #[inline(always)]
        pub fn $name(&self) -> u32 {
            // SAFETY: the context is valid for the whole program.
            unsafe { ptr::read_volatile(&raw const (*self.ops).$field) }
        }
    };
}

impl Observed {
    #[inline(always)]
    pub const fn new(ctx: &SockOpsContext) -> Self {
        Self { ops: ctx.ops }
    }

    field!(op, op);
    field!(state, state);
    field!(srtt, srtt_us);

    #[inline(always)]
    pub fn argument(&self, index: usize) -> u32 {
        // SAFETY: as above; the arguments are what the kernel calls the program with.
        unsafe { ptr::read_volatile(&raw const (*self.ops).__bindgen_anon_1.args[index]) }
    }

    #[inline(always)]
    pub fn bytes_received(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.ops).bytes_received) }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_socket_cookie(self.ops.cast::<c_void>()) }
    }

    /// Has the kernel tell of more that befalls the connection: `BPF_SOCK_OPS_*_CB_FLAG`.
    #[inline(always)]
    pub fn ask(&self, flags: u32) {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_sock_ops_cb_flags_set(self.ops, flags as i32) };
    }

    /// Cookie of the caller's network namespace.
    #[inline(always)]
    pub fn netns(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_netns_cookie(self.ops.cast::<c_void>()) }
    }

    /// The record of the socket, or of the MPTCP socket that it is a subflow of.
    #[inline(always)]
    pub fn flow(&self) -> Option<*mut Flow> {
        self.own_flow().or_else(|| mptcp::of_subflow(self.ops))
    }

    /// The record of the socket itself.
    #[inline(always)]
    pub fn own_flow(&self) -> Option<*mut Flow> {
        flows::find(self.cookie())
    }
}
