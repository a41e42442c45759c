//! Services that a process stands on, asked before it starts: who is away may come, who refuses will not.

/// Why a service is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// It does not answer, or takes nobody in just now: it may come.
    #[error("{0}")]
    Away(String),
    /// It does not let us in, and no waiting mends that.
    #[error("{0}")]
    Refused(String),
}
