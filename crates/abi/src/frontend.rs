//! Frontends: what an address, port and protocol of a Service leads to.

use crate::pod;

/// Set where only sockets of the node's own network namespace may use the frontend, as with a
/// node port on a loopback address: every Pod has a loopback of its own.
pub const FRONTEND_NODE_ONLY: u16 = 1;
/// Set where only callers whose address is in `SOURCES` may use the frontend
/// (`spec.loadBalancerSourceRanges`).
pub const FRONTEND_SOURCES: u16 = 2;
/// Set where the members are not chosen evenly at random: see [`crate::Balancing`].
pub const FRONTEND_BALANCED: u16 = 4;
/// Set where calls go to all members, as if none were ejected, once every one of them is.
pub const FRONTEND_ANYWAY: u16 = 8;
/// Set where a table has no members since a traffic policy `Local` keeps it to this node and every
/// endpoint is elsewhere: why it refuses.
pub const FRONTEND_ELSEWHERE: u16 = 16;
/// Set where what callers get depends on who calls, or is divided: the frontend leads to a route, see
/// [`crate::Class`].
pub const FRONTEND_ROUTED: u16 = 32;
/// Every flag that a [`Frontend`] may have.
pub const FRONTEND_FLAGS: u16 = 0x7fff;

/// Most members that one table may have; hashed tables number their members in 16 bits.
pub const MAX_MEMBERS: u32 = u16::MAX as u32;

/// Where a frontend leads: first slot (32 bits), slots (16), flags (16), in one word, so that it
/// changes as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Target(pub u64);

impl Target {
    /// No frontend has this cell.
    pub const NONE: Self = Self(0);

    /// Set in every target but [`Target::NONE`].
    const THERE: u64 = 1 << 63;

    /// A table, of which [`MAX_MEMBERS`] slots count, and `FRONTEND_*` bits.
    #[inline(always)]
    #[must_use]
    pub const fn new(table: u32, members: u32, flags: u16) -> Self {
        let members = if members > MAX_MEMBERS { MAX_MEMBERS } else { members };
        Self(
            table as u64
                | (members as u64) << 32
                | ((flags & FRONTEND_FLAGS) as u64) << 48
                | Self::THERE,
        )
    }

    /// Whether it is one.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 & Self::THERE != 0
    }

    /// First slot of the table, an index into `SLOTS` in slots of 32 bits; with [`FRONTEND_ROUTED`]
    /// the first line of the route, an index into `ROUTES`.
    #[inline(always)]
    #[must_use]
    pub const fn table(self) -> u32 {
        self.0 as u32
    }

    /// Slots of the table; 0 refuses. With [`FRONTEND_ROUTED`] the lines of callers' classes.
    #[inline(always)]
    #[must_use]
    pub const fn members(self) -> u32 {
        (self.0 >> 32) as u16 as u32
    }

    /// `FRONTEND_*` bits.
    #[inline(always)]
    #[must_use]
    pub const fn flags(self) -> u16 {
        (self.0 >> 48) as u16 & FRONTEND_FLAGS
    }
}

/// What a frontend's cell holds besides: read by refusals and by unconnected sockets alone. A
/// program that needs it together with the target reads it first.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Key into `SERVICE_NAMES`.
    pub service: u32,
    /// Changes with every new table, so that a remembered choice is checked against it once.
    pub generation: u32,
    /// The errno that a refused caller sees, positive.
    pub errno: u16,
    /// Zero.
    pub pad: [u16; 3],
}
pod!(Owner, 16, 8);

/// One address, port and protocol of a Service, as a cell holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frontend {
    /// Key into `SERVICE_NAMES`.
    pub service: u32,
    /// See [`Target::table`].
    pub table: u32,
    /// See [`Target::members`]; [`MAX_MEMBERS`] of them count.
    pub members: u32,
    /// `FRONTEND_*` bits.
    pub flags: u16,
    /// See [`Owner::generation`].
    pub generation: u32,
    /// The errno that a refused caller sees, positive.
    pub errno: u16,
}

impl Frontend {
    /// The frontend of a cell; none where the cell has none.
    #[must_use]
    pub const fn of(target: Target, owner: Owner) -> Option<Self> {
        if target.0 == Target::NONE.0 {
            return None;
        }
        Some(Self {
            service: owner.service,
            table: target.table(),
            members: target.members(),
            flags: target.flags(),
            generation: owner.generation,
            errno: owner.errno,
        })
    }

    /// Where it leads.
    #[must_use]
    pub const fn target(&self) -> Target {
        Target::new(self.table, self.members, self.flags)
    }

    /// The rest.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner { service: self.service, generation: self.generation, errno: self.errno, pad: [0; 3] }
    }
}
