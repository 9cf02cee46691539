//! The look-up of a frontend in `SERVICES4` and `SERVICES6`.
//!
//! Reads are volatile: the agent writes cells beside us, in the order that `etm-abi` describes.

use core::{
    mem::offset_of,
    ptr::{self, NonNull},
};

use etm_abi::{
    ANY_PORT, ANY_PROTOCOL, Address, Owner, ServiceCell4, ServiceCell6, ServiceKey4, ServiceKey6,
    Target, is_mapped,
};
use etm_decide::{Cell, lookup};

use crate::{maps, settings};

/// A frontend that was found.
#[derive(Clone, Copy)]
pub struct Frontend {
    half: NonNull<Half>,
    /// Where it leads.
    pub target: Target,
}

/// The part of a cell behind the key, alike in both families.
#[repr(C)]
struct Half {
    target: u64,
    owner: Owner,
}

const _: () = assert!(
    offset_of!(ServiceCell4, owner) - offset_of!(ServiceCell4, target) == offset_of!(Half, owner)
        && offset_of!(ServiceCell6, owner) - offset_of!(ServiceCell6, target)
            == offset_of!(Half, owner)
);

impl Frontend {
    /// Key into `SERVICE_NAMES`.
    #[inline(always)]
    pub fn service(&self) -> u32 {
        // SAFETY: part of an element of an array, which stays for as long as the program runs.
        unsafe { ptr::read_volatile(&raw const (*self.half.as_ptr()).owner.service) }
    }

    /// The generation of a table, then where the frontend leads: to that table or a newer one. None
    /// where the frontend has just gone.
    #[inline(always)]
    pub fn present(&self) -> Option<(u32, Target)> {
        let generation = self.generation();
        Some((generation, target(self.half)?))
    }

    /// The generation of the table that it leads to.
    #[inline(always)]
    pub fn generation(&self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.half.as_ptr()).owner.generation) }
    }

    /// The errno of refusals.
    #[inline(always)]
    pub fn errno(&self) -> u16 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.half.as_ptr()).owner.errno) }
    }
}

/// The frontend of an address, port and protocol.
#[inline(always)]
pub fn find(address: &Address, port: u16, protocol: u8) -> Option<Frontend> {
    if is_mapped(address) {
        find4(ServiceKey4::new(address[3], port, protocol))
    } else {
        find6(ServiceKey6::new(address, port, protocol))
    }
}

/// The frontend that refuses whatever port its address has not.
#[inline(always)]
pub fn any_port(address: &Address) -> Option<Frontend> {
    find(address, ANY_PORT, ANY_PROTOCOL)
}

#[inline(always)]
fn find4(key: ServiceKey4) -> Option<Frontend> {
    let half = lookup(key.hash(), settings::service_mask(), |index| {
        let Some(cell) = maps::SERVICES4.get_ptr(index) else { return Cell::Empty };
        // SAFETY: `cell` is an element of SERVICES4.
        match unsafe { ptr::read_volatile(&raw const (*cell).key[0]) } {
            // SAFETY: as above.
            word if word == key.0[0] => found(unsafe { &raw const (*cell).target }),
            0 => Cell::Empty,
            _ => Cell::Other,
        }
    })?;
    Some(Frontend { half, target: target(half)? })
}

#[inline(always)]
fn find6(key: ServiceKey6) -> Option<Frontend> {
    let half = lookup(key.hash(), settings::service_mask(), |index| {
        let Some(cell) = maps::SERVICES6.get_ptr(index) else { return Cell::Empty };
        // SAFETY: `cell` is an element of SERVICES6.
        let word = |at: usize| unsafe { ptr::read_volatile(&raw const (*cell).key[at]) };
        match word(2) {
            last if last == key.0[2] && word(1) == key.0[1] && word(0) == key.0[0] => {
                // SAFETY: as above.
                found(unsafe { &raw const (*cell).target })
            }
            0 => Cell::Empty,
            _ => Cell::Other,
        }
    })?;
    Some(Frontend { half, target: target(half)? })
}

#[inline(always)]
fn found(target: *const u64) -> Cell<NonNull<Half>> {
    // SAFETY: the address of a field is not null.
    Cell::Match(unsafe { NonNull::new_unchecked(target.cast_mut().cast()) })
}

/// Where a cell leads whose key was found; the key stays for a while when its frontend is gone.
#[inline(always)]
fn target(half: NonNull<Half>) -> Option<Target> {
    // SAFETY: part of an element of an array, which stays for as long as the program runs.
    let target = Target(unsafe { ptr::read_volatile(&raw const (*half.as_ptr()).target) });
    (target != Target::NONE).then_some(target)
}
