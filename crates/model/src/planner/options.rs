/// `ECONNREFUSED` on Linux: what a closed port answers, so what callers know how to handle.
const ECONNREFUSED: u16 = 111;

/// What becomes of a connection to a Service's address on a port that the Service does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPort {
    /// It passes untouched to whatever else handles it.
    #[default]
    Pass,
    /// It is refused.
    Refuse,
}

/// What a Plan depends on besides the Snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a refused caller sees, a positive errno.
    pub errno: u16,
    /// What becomes of ports that a Service does not have.
    pub unknown_port: UnknownPort,
}

impl Default for Options {
    fn default() -> Self {
        Self { errno: ECONNREFUSED, unknown_port: UnknownPort::default() }
    }
}
