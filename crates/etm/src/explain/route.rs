//! What a route makes of a call.

use etm_abi::{Class, FRONTEND_BALANCED, FRONTEND_ROUTED, Frontend, Target};
use etm_dataplane::MapError;
use etm_decide::{Tables as _, balance::balancing, route};
use etm_model::RouteTable;

use crate::{
    balancing::Balancing,
    explain::{
        explanation::{Explanation, Outcome, Part, Route},
        members::Members,
        steps::Steps,
    },
};

impl Steps<'_> {
    /// Chooses among the members that the caller gets.
    pub(super) fn follow(
        &self,
        frontend: &Frontend,
        told: &mut Explanation,
    ) -> Result<(), MapError> {
        if frontend.flags & FRONTEND_ROUTED == 0 {
            return self.choose(frontend, told);
        }
        let number = self.known.record.map_or(0, |(_, record)| record.number);
        let class = route::class(self.live, frontend.target(), number);
        let table = RouteTable::of(frontend, |at| self.live.route_word(at));
        let (Some(class), Some(table)) = (class, table) else {
            self.refuse(told, frontend.errno, "its route lies outside of the maps");
            return Ok(());
        };
        let of_caller = number.try_into().ok().and_then(|number| table.callers.get(&number));
        let index = of_caller.map_or(0, |class| u32::from(*class));
        let mut route = Route { caller: number, class: index, parts: Vec::new() };
        if let Some(target) = class.whole() {
            told.route = Some(route);
            return self.choose(&led(frontend, target), told);
        }
        if class == Class::DENIED {
            told.route = Some(route);
            self.refuse(told, frontend.errno, "a rule of a route denies this caller");
            return Ok(());
        }
        let shares = table.classes.get(index as usize).map(Vec::as_slice).unwrap_or_default();
        let total: f64 = shares.iter().map(|(weight, _)| f64::from(*weight)).sum();
        for (weight, target) in shares {
            route.parts.push(self.part(frontend, f64::from(*weight) / total, *target)?);
        }
        told.result = Outcome::OneOf;
        told.reason = format!("its calls are divided among {} parts by weight", shares.len());
        told.notes.push("which part a call gets cannot be known before it is made".to_owned());
        told.route = Some(route);
        Ok(())
    }

    fn part(&self, frontend: &Frontend, share: f64, target: Target) -> Result<Part, MapError> {
        let balanced = target.flags() & FRONTEND_BALANCED != 0;
        let header = balanced.then(|| balancing(self.live, target)).flatten();
        let members = Members::of(self.view, self.live, &led(frontend, target))?;
        Ok(Part { share, balancing: Balancing::of(header.as_ref()), members: members.rows() })
    }
}

/// A frontend as if it led to one table and no route.
fn led(frontend: &Frontend, target: Target) -> Frontend {
    Frontend {
        table: target.table(),
        members: target.members(),
        flags: target.flags(),
        ..*frontend
    }
}
