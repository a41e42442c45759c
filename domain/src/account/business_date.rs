//! The dates that payloads bring along.

use super::Deal;
use crate::{
    facts::Facts,
    rejection::Rejection,
    values::{DealId, Timestamp},
};

/// How far ahead of the receipt a business date may lie, in hours: a bare date is its midnight in UTC, which a sender's
/// own midnight precedes by up to 14 hours, and clocks differ.
const AHEAD_HOURS: i64 = 24;

/// Refuses a date of something that has not happened yet.
pub(super) fn not_in_future(date: Timestamp, facts: &Facts) -> Result<Timestamp, Rejection> {
    if date > facts.now.plus_hours(AHEAD_HOURS) { Err(Rejection::DateInFuture { date, now: facts.now }) } else { Ok(date) }
}

/// When the deal was closed: the payload's date, else the command's. A bare date means the day, so that a close on the
/// day of the registration is not before it.
pub(super) fn closing_date(id: &DealId, deal: &Deal, given: Option<Timestamp>, facts: &Facts) -> Result<Timestamp, Rejection> {
    let registered_at = deal.registered_at();
    let closed_at = not_in_future(given.unwrap_or_else(|| facts.effective_at.max(registered_at)), facts)?;
    if closed_at.day() < registered_at.day() {
        return Err(Rejection::ClosedBeforeRegistered { deal_id: id.clone(), closed_at, registered_at });
    }
    Ok(closed_at)
}

/// Refuses an expected close of a day that is over, except in history.
pub(super) fn close_still_expected(expected_close: Option<Timestamp>, facts: &Facts) -> Result<(), Rejection> {
    match expected_close.filter(|close| !facts.historical && close.day() < facts.now.day()) {
        Some(expected_close) => Err(Rejection::ExpectedCloseInPast { expected_close, now: facts.now }),
        None => Ok(()),
    }
}
