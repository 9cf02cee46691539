//! What the kernel's own record of a socket says, beyond what programs are shown of it: read by
//! offsets that the agent finds in the kernel's description of its types.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;

use crate::settings;

/// Segments of TCP that a `struct sk_buff` stands for, by its address; 1 where the kernel does not say.
#[inline(always)]
pub fn segments(buffer: u64) -> u32 {
    let read = || {
        let [_, control, segments, _] = settings::tcp_sent()?;
        let at = buffer.wrapping_add((control + segments) as u64);
        // SAFETY: the helper checks what it reads.
        unsafe { bpf_probe_read_kernel(at as *const u16) }.ok()
    };
    read().map_or(1, |count| (count as u32).max(1))
}

/// The address of a `struct sock`, as a number.
#[derive(Clone, Copy)]
pub struct Socket(u64);

/// Bits of `skc_flags` (`enum sock_flags` of net/sock.h): SOCK_TIMESTAMP, SOCK_RCVTSTAMP,
/// SOCK_TIMESTAMPING_RX_SOFTWARE. The time of the last datagram is then told to the caller alone.
const TIMED: u64 = 1 << 7 | 1 << 11 | 1 << 15;

/// `SK_DEFAULT_STAMP` of net/sock.h: `sk_stamp` of a socket that nothing was read from.
const NEVER: i64 = -1_000_000_000;

/// What has come to a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Nothing,
    /// Something was read from it.
    Read,
    /// Something waits to be read.
    Waiting,
    /// The kernel does not say.
    Unknown,
}

impl Socket {
    /// That of an argument of a tracepoint.
    #[inline(always)]
    pub const fn at(address: u64) -> Self {
        Self(address)
    }

    /// That of a pointer which the verifier keeps watch over: it forbids to add to it, and to take
    /// it for a number, but not to have it copied from the stack.
    #[inline(always)]
    pub fn of(pointer: *mut c_void) -> Option<Self> {
        // SAFETY: the stack of this program; the helper checks what it reads.
        unsafe { bpf_probe_read_kernel((&raw const pointer).cast::<u64>()) }.ok().map(Self)
    }

    /// For functions that are given numbers alone.
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn read<T>(self, offset: usize) -> Option<T> {
        // SAFETY: the helper checks what it reads, and `T` is an integer.
        unsafe { bpf_probe_read_kernel(self.0.wrapping_add(offset as u64) as *const T) }.ok()
    }

    /// What has come to a UDP socket.
    #[inline(always)]
    pub fn received(self) -> Received {
        let Some([flags, stamp, queued, _]) = settings::socket_read() else {
            return Received::Unknown;
        };
        let known = || Some((self.read::<u64>(flags)?, self.read::<i64>(stamp)?));
        match (known(), self.read::<u32>(queued)) {
            (_, None) | (None, _) => Received::Unknown,
            (_, Some(1..)) => Received::Waiting,
            (Some((flags, _)), _) if flags & TIMED != 0 => Received::Unknown,
            (Some((_, NEVER)), _) => Received::Nothing,
            _ => Received::Read,
        }
    }

    /// Whether a TCP socket has sent its first SYN; `true` where the kernel does not say.
    #[inline(always)]
    pub fn has_sent(self) -> bool {
        settings::tcp_sent().and_then(|[sequence, ..]| self.read::<u32>(sequence)) != Some(0)
    }

    /// Its cookie; none where nobody has asked for it.
    #[inline(always)]
    pub fn cookie(self) -> Option<u64> {
        let [cookie, ..] = settings::socket_error()?;
        self.read::<u64>(cookie).filter(|cookie| *cookie != 0)
    }

    /// Cookie of its network namespace.
    #[inline(always)]
    pub fn netns(self) -> Option<u64> {
        let [_, net, cookie, _] = settings::socket_error()?;
        Self(self.read::<u64>(net)?).read(cookie)
    }

    /// The error that it is told of.
    #[inline(always)]
    pub fn error(self) -> Option<i32> {
        let [.., error] = settings::socket_error()?;
        self.read(error)
    }
}
