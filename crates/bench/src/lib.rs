//! What benches share: a run of sections, figures held against budgets, the statistics behind them,
//! processes that call, and the memory of processes.
#![forbid(unsafe_code)]

pub mod calling;
pub mod memory;
pub mod results;
pub mod run;
pub mod statistics;
