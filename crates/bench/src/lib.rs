//! What benches share: figures held against budgets, the statistics behind them, and the memory of
//! processes.
#![forbid(unsafe_code)]

pub mod memory;
pub mod results;
pub mod statistics;
