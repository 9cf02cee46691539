//! What this node asks of backends by itself.
mod target;
pub use target::Target;
