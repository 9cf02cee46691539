//! What this node asks of backends by itself, and what they answer.

mod ask;
mod grpc;
mod http;
mod io;
mod prober;
mod schedule;
mod target;

pub use ask::ask;
pub use prober::{LIMIT, Probed, Prober};
pub use schedule::Schedule;
pub use target::Target;
