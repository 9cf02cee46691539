//! The look-up of a frontend in `SERVICES4` and `SERVICES6`.
//!
//! Reads are volatile: the agent writes cells beside us, in the order that `etm-abi` describes.

use core::ptr;

use etm_abi::{
    ANY_PORT, ANY_PROTOCOL, Address, Owner, ServiceKey4, ServiceKey6, Target, is_mapped,
};
use etm_decide::{Cell, lookup};

use crate::{maps, settings};

/// A frontend that was found.
#[derive(Clone, Copy)]
pub struct Frontend {
    place: Place,
    /// Where it leads.
    pub target: Target,
}

/// The two halves of its cell.
#[derive(Clone, Copy)]
struct Place {
    target: *const u64,
    owner: *const Owner,
}

impl Frontend {
    /// Key into `SERVICE_NAMES`.
    #[inline(always)]
    pub fn service(&self) -> u32 {
        // SAFETY: part of an element of an array, which stays for as long as the program runs.
        unsafe { ptr::read_volatile(&raw const (*self.place.owner).service) }
    }

    /// The generation of a table, then where the frontend leads: to that table or a newer one. None
    /// where the frontend has just gone.
    #[inline(always)]
    pub fn present(&self) -> Option<(u32, Target)> {
        // SAFETY: as above.
        let generation = unsafe { ptr::read_volatile(&raw const (*self.place.owner).generation) };
        Some((generation, target(self.place)?))
    }

    /// The errno of refusals.
    #[inline(always)]
    pub fn errno(&self) -> u16 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.place.owner).errno) }
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
    lookup(key.hash(), settings::service_mask(), |index| {
        let Some(cell) = maps::SERVICES4.get_ptr(index) else { return Cell::Empty };
        // SAFETY: `cell` is an element of SERVICES4.
        match unsafe { ptr::read_volatile(&raw const (*cell).key[0]) } {
            word if word == key.0[0] => {
                // SAFETY: as above.
                Cell::Match(unsafe {
                    Place { target: &raw const (*cell).target, owner: &raw const (*cell).owner }
                })
            }
            0 => Cell::Empty,
            _ => Cell::Other,
        }
    })
    .and_then(frontend)
}

#[inline(always)]
fn find6(key: ServiceKey6) -> Option<Frontend> {
    lookup(key.hash(), settings::service_mask(), |index| {
        let Some(cell) = maps::SERVICES6.get_ptr(index) else { return Cell::Empty };
        // SAFETY: `cell` is an element of SERVICES6.
        let word = |at: usize| unsafe { ptr::read_volatile(&raw const (*cell).key[at]) };
        match word(2) {
            last if last == key.0[2] && word(1) == key.0[1] && word(0) == key.0[0] => {
                // SAFETY: as above.
                Cell::Match(unsafe {
                    Place { target: &raw const (*cell).target, owner: &raw const (*cell).owner }
                })
            }
            0 => Cell::Empty,
            _ => Cell::Other,
        }
    })
    .and_then(frontend)
}

/// The frontend of a cell whose key was found; a key stays for a while when its frontend is gone.
#[inline(always)]
fn frontend(place: Place) -> Option<Frontend> {
    Some(Frontend { place, target: target(place)? })
}

#[inline(always)]
fn target(place: Place) -> Option<Target> {
    // SAFETY: part of an element of an array, which stays for as long as the program runs.
    let target = Target(unsafe { ptr::read_volatile(place.target) });
    (target != Target::NONE).then_some(target)
}
