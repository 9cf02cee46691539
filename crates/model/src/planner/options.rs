use crate::refusal::Refusal;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What callers see while no member is usable, where no policy says it.
    pub refusal: Refusal,
    /// What becomes of ports that a Service does not have.
    pub unknown_port: UnknownPort,
}
