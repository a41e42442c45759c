//! What several commands of a fund ask first.

use super::{Fund, Request, RequestPhase};
use crate::{
    facts::Facts,
    partner::{Partner, PartnerPhase},
    rejection::Rejection,
    values::{Amount, Currency, PartnerId, RequestId, Timestamp},
};

/// How far a business date may lie ahead of the receipt, in hours: the sender's calendar may be a day ahead of UTC.
const DATE_TOLERANCE_HOURS: i64 = 24;

/// The instant at which periods and windows are looked at: the receipt, for a business date only dates a fact. History
/// is held against its own time.
pub(super) const fn moment(facts: &Facts) -> Timestamp {
    if facts.historical { facts.effective_at } else { facts.now }
}

/// The payload's own date, else the command's business time.
///
/// # Errors
/// `DateInFuture` where it lies more than 24 hours after the receipt.
pub(super) fn business_date(given: Option<Timestamp>, facts: &Facts) -> Result<Timestamp, Rejection> {
    let date = given.unwrap_or(facts.effective_at);
    if date > facts.now.plus_hours(DATE_TOLERANCE_HOURS) {
        return Err(Rejection::DateInFuture { date, now: facts.now });
    }
    Ok(date)
}

/// Something is asked for, in the currency of the chain that it hangs on.
///
/// # Errors
/// `NothingAsked` or `WrongCurrency`.
pub(super) fn in_currency(amount: Amount, expected: Currency) -> Result<(), Rejection> {
    if amount.minor() == 0 {
        return Err(Rejection::NothingAsked {});
    }
    if amount.currency() != expected {
        return Err(Rejection::WrongCurrency { expected, given: amount.currency() });
    }
    Ok(())
}

/// Money may be asked for now: the budget has begun and not ended.
///
/// # Errors
/// `OutsideBudgetPeriod`.
pub(super) fn in_period(state: &Fund, facts: &Facts) -> Result<(), Rejection> {
    match state.budget() {
        Some(budget) if !(budget.starts_on..budget.ends_on).contains(&moment(facts)) => {
            Err(Rejection::OutsideBudgetPeriod { starts_on: budget.starts_on, ends_on: budget.ends_on })
        }
        // Whatever asks for money names an allocation, and there is none without a budget.
        Some(_) | None => Ok(()),
    }
}

/// The partner, in whatever phase.
///
/// # Errors
/// `PartnerUnknown`.
pub(super) fn known_partner<'f>(facts: &'f Facts, id: &PartnerId) -> Result<&'f Partner, Rejection> {
    let partner = facts.partner.as_deref().filter(|partner| partner.is_known());
    partner.ok_or_else(|| Rejection::PartnerUnknown { partner_id: id.clone() })
}

/// The partner may ask for funds: it is active, has signed, is not leaving, and its tier is eligible. History asks only
/// that it is known and not retired: what it was then is not among today's facts.
///
/// # Errors
/// `PartnerUnknown`, `PartnerNotActive`, `PartnerRetiring`, `AgreementNotSigned` or `TierNotEligible`.
pub(super) fn eligible_partner(facts: &Facts, id: &PartnerId) -> Result<(), Rejection> {
    settling_partner(facts, id)?;
    staying_partner(facts, id)
}

/// The partner stays: it is neither retired nor leaving. History asks only that it is known.
///
/// # Errors
/// `PartnerUnknown`, `PartnerNotActive` or `PartnerRetiring`.
pub(super) fn staying_partner(facts: &Facts, id: &PartnerId) -> Result<(), Rejection> {
    let partner = known_partner(facts, id)?;
    match partner.retiring_since() {
        _ if facts.historical => Ok(()),
        _ if partner.phase() == PartnerPhase::Retired => {
            Err(Rejection::PartnerNotActive { partner_id: id.clone(), phase: partner.phase().to_string() })
        }
        Some(since) => Err(Rejection::PartnerRetiring { partner_id: id.clone(), since }),
        None => Ok(()),
    }
}

/// The partner may claim what it was granted: as `eligible_partner`, but who is leaving settles what is open.
///
/// # Errors
/// `PartnerUnknown`, `PartnerNotActive`, `AgreementNotSigned` or `TierNotEligible`.
pub(super) fn settling_partner(facts: &Facts, id: &PartnerId) -> Result<(), Rejection> {
    let partner = known_partner(facts, id)?;
    let not_active = || Rejection::PartnerNotActive { partner_id: id.clone(), phase: partner.phase().to_string() };
    if partner.phase() == PartnerPhase::Retired {
        return Err(not_active());
    }
    if facts.historical {
        return Ok(());
    }
    if !partner.is_active() {
        return Err(not_active());
    }
    if !partner.agreement_signed() {
        return Err(Rejection::AgreementNotSigned { partner_id: id.clone() });
    }
    let eligible = &facts.rules.rules.mdf.eligible_tiers;
    let tier = partner.tier();
    if eligible.is_empty() || tier.is_some_and(|tier| eligible.contains(tier)) {
        return Ok(());
    }
    Err(Rejection::TierNotEligible { tier: tier.cloned() })
}

/// The request, where it stands in a phase that `allows` this.
///
/// # Errors
/// `RequestUnknown` or `WrongRequestPhase`.
pub(super) fn request_in<'s>(state: &'s Fund, id: &RequestId, allows: fn(&RequestPhase) -> bool) -> Result<&'s Request, Rejection> {
    let request = state.known_request(id)?;
    if allows(&request.phase) {
        return Ok(request);
    }
    Err(Rejection::WrongRequestPhase { request_id: id.clone(), phase: request.phase.to_string() })
}
