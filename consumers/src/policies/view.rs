//! What policies read. Whoever puts the parts together implements it over the read models.

use pledger_domain::{
    partner::TierInputs,
    values::{PartnerId, Period, Timestamp},
};
use pledger_ledger::{log::LogError, slices::Position};

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// What was found, by partner.
    pub found: Vec<T>,
    /// The last record of every slice that it stands on.
    pub as_of: Vec<Position>,
}

/// A partner that is retiring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiring {
    /// The partner.
    pub partner_id: PartnerId,
    /// The decision that started its retirement.
    pub started: Position,
    /// What is open for it, sorted, such as `account/acme.com#d-1`.
    pub open: Vec<String>,
    /// What the last refusal to complete the retirement named.
    pub blocked_by: Option<Vec<String>>,
}

/// A partner that was not held against the tiers for a period yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unevaluated {
    /// The partner.
    pub partner_id: PartnerId,
    /// Its figures over the rules' window, as of the end of the period.
    pub inputs: TierInputs,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The read models do not hold all of the ledger yet.
    #[error("the read models are behind the ledger")]
    Behind,
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] LogError),
}

/// The read models as policies see them. Whatever it answers holds every record that was in the ledger when it was asked.
pub trait PolicyView: Send + 'static {
    /// Every partner that is retiring at `now`.
    ///
    /// # Errors
    /// `Unread`.
    fn retiring(&self, now: Timestamp) -> Result<Reading<Retiring>, Unread>;

    /// Every partner in the program that was known by the end of `period` and not evaluated for it or a later one, by
    /// the window and currency of the rules in force at `now`.
    ///
    /// # Errors
    /// `Unread`.
    fn unevaluated(&self, period: Period, now: Timestamp) -> Result<Reading<Unevaluated>, Unread>;
}
