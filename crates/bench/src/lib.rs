//! What benches share: a run of sections, figures held against budgets, the statistics behind them,
//! turns at full speed, processes that call and the processors that they keep to, and the memory of
//! processes.
#![forbid(unsafe_code)]

pub mod calling;
mod document;
pub mod memory;
pub mod pace;
pub mod processor;
pub mod results;
pub mod run;
pub mod statistics;
