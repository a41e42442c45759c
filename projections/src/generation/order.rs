//! What may be asked about generations, and the answer, whoever does it.

use super::GenerationNumber;

/// What is asked of whoever keeps the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Put this generation in use.
    Promote(GenerationNumber),
    /// Put the one before in use again.
    RollBack,
    /// Try parked streams again; all that fold the same ledger do, once it is done.
    RetryParked,
}

/// What came of it: a status as over HTTP, and a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Below 300 where it was done.
    pub status: u16,
    /// What was done, or the problem.
    pub body: String,
}
