//! What the decision promises, for any table and any backends that are out.

mod keep;
mod lookup;
mod memory;
mod refusal;
mod rendezvous;
mod spread;
