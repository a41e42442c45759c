//! What several commands of a partner ask first.

use super::{Partner, PartnerPhase};
use crate::{
    facts::Facts,
    rejection::Rejection,
    values::{PartnerId, Timestamp},
};

/// How far a business date may lie ahead of the receipt, in hours: the sender's calendar may be a day ahead of UTC.
const DATE_TOLERANCE_HOURS: i64 = 24;

/// The partner was nominated or registered.
///
/// # Errors
/// `PartnerUnknown`.
pub(super) fn known(state: &Partner, partner_id: &PartnerId) -> Result<(), Rejection> {
    if state.is_known() { Ok(()) } else { Err(Rejection::PartnerUnknown { partner_id: partner_id.clone() }) }
}

/// The partner is known and has not left the program.
///
/// # Errors
/// `PartnerUnknown`, or `WrongPartnerPhase` once it is retired.
pub(super) fn in_program(state: &Partner, partner_id: &PartnerId) -> Result<(), Rejection> {
    known(state, partner_id)?;
    if state.phase() == PartnerPhase::Retired { Err(wrong_phase(state, partner_id)) } else { Ok(()) }
}

/// The refusal of what the partner's phase does not allow.
pub(super) fn wrong_phase(state: &Partner, partner_id: &PartnerId) -> Rejection {
    Rejection::WrongPartnerPhase { partner_id: partner_id.clone(), phase: state.phase().to_string() }
}

/// The payload's own date, else the command's business time.
///
/// # Errors
/// `DateInFuture` where it lies more than 24 hours after the receipt: history does not, either.
pub(super) fn business_date(given: Option<Timestamp>, facts: &Facts) -> Result<Timestamp, Rejection> {
    let date = given.unwrap_or(facts.effective_at);
    if date > facts.now.plus_hours(DATE_TOLERANCE_HOURS) {
        return Err(Rejection::DateInFuture { date, now: facts.now });
    }
    Ok(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner::scenario::{at, facts};

    #[test]
    fn a_date_may_be_a_day_ahead_of_the_receipt() {
        let facts = facts();
        let now = facts.now;
        let late = now.plus_hours(24).plus_micros(1);
        for (given, expected) in [
            (None, Ok(facts.effective_at)),
            (Some(at("2016-10-20")), Ok(at("2016-10-20"))),
            (Some(now.plus_hours(24)), Ok(now.plus_hours(24))),
            (Some(late), Err(Rejection::DateInFuture { date: late, now })),
        ] {
            assert_eq!(business_date(given, &facts), expected, "{given:?}");
        }
    }

    #[test]
    fn the_commands_own_business_time_is_held_to_the_same_limit() {
        let mut facts = facts();
        facts.effective_at = facts.now.plus_days(2);
        let refusal = Rejection::DateInFuture { date: facts.effective_at, now: facts.now };
        for historical in [false, true] {
            facts.historical = historical;
            assert_eq!(business_date(None, &facts), Err(refusal.clone()));
        }
    }
}
