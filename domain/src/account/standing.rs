//! What an account's decisions ask of a partner.

use super::Account;
use crate::{
    facts::Facts,
    partner::{Partner, PartnerPhase},
    rejection::Rejection,
    values::PartnerId,
};

/// The partner, in whatever phase.
pub(super) fn known_partner<'f>(facts: &'f Facts, id: &PartnerId) -> Result<&'f Partner, Rejection> {
    let partner = facts.partner.as_deref().filter(|partner| partner.is_known());
    partner.ok_or_else(|| Rejection::PartnerUnknown { partner_id: id.clone() })
}

/// The partner, where it may take on a deal. History asks only that it is known and not retired: whether it was active
/// then is not among today's facts.
pub(super) fn registering_partner<'f>(facts: &'f Facts, id: &PartnerId) -> Result<&'f Partner, Rejection> {
    let partner = known_partner(facts, id)?;
    let phase = partner.phase();
    let not_active = || Rejection::PartnerNotActive { partner_id: id.clone(), phase: phase.to_string() };
    if phase == PartnerPhase::Retired {
        return Err(not_active());
    }
    if facts.historical {
        return Ok(partner);
    }
    if let Some(since) = partner.retiring_since() {
        return Err(Rejection::PartnerRetiring { partner_id: id.clone(), since });
    }
    if !partner.is_active() {
        return Err(not_active());
    }
    if !partner.agreement_signed() {
        return Err(Rejection::AgreementNotSigned { partner_id: id.clone() });
    }
    let required = &facts.rules.rules.deal_registration.prerequisite_courses;
    match required.iter().find(|course| !partner.has_completed(course)) {
        Some(course) => Err(Rejection::PrerequisiteMissing { partner_id: id.clone(), course: course.clone() }),
        None => Ok(partner),
    }
}

/// The partner may be granted protection, or more of it: it is neither suspended nor leaving. History grants none.
pub(super) fn protected_partner(facts: &Facts, id: &PartnerId) -> Result<(), Rejection> {
    let partner = known_partner(facts, id)?;
    match partner.retiring_since() {
        _ if facts.historical => Ok(()),
        Some(since) => Err(Rejection::PartnerRetiring { partner_id: id.clone(), since }),
        None => match partner.phase() {
            PartnerPhase::Suspended | PartnerPhase::Retired => {
                Err(Rejection::PartnerNotActive { partner_id: id.clone(), phase: partner.phase().to_string() })
            }
            // Deals that were brought along may be of partners that are not active yet.
            PartnerPhase::Unknown | PartnerPhase::Prospect | PartnerPhase::Applied | PartnerPhase::Onboarding | PartnerPhase::Active => {
                Ok(())
            }
        },
    }
}

/// Refuses where a partner is named that nobody knows.
pub(super) fn any_named_partner_known(facts: &Facts, id: Option<&PartnerId>) -> Result<(), Rejection> {
    id.map_or(Ok(()), |id| known_partner(facts, id).map(drop))
}

/// Refuses where a deal is named that is not on the account.
pub(super) fn any_named_deal_known(state: &Account, id: Option<&crate::values::DealId>) -> Result<(), Rejection> {
    id.map_or(Ok(()), |id| state.known(id).map(drop))
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, active, d1, deal, time, with};
    use crate::{partner::PartnerEvent, rejection::Rejection};
    use serde_json::json;

    #[test]
    fn nobody_who_is_suspended_or_leaves_is_granted_protection() {
        let suspended = PartnerEvent::PartnerSuspended { reason: "unpaid".parse().expect("a text") };
        let leaving = PartnerEvent::RetirementStarted { reason: None };
        let inactive = Rejection::PartnerNotActive { partner_id: "p-1".parse().expect("an id"), phase: "suspended".into() };
        let retiring = Rejection::PartnerRetiring { partner_id: "p-1".parse().expect("an id"), since: time("2026-10-01") };
        let opened = with(d1(), json!({"protected_until": "2026-11-01"}));
        for (event, refusal) in [(suspended, inactive), (leaving, retiring)] {
            let is = |story: Story| story.partner("p-1", &[&active()[..], std::slice::from_ref(&event)].concat());
            assert_eq!(is(Story::registered()).refusal("ApproveDeal", &d1()), refusal);
            assert_eq!(is(Story::approved()).refusal("ExtendDeal", &d1()), refusal);
            let moved = Story::new().import(true).then("RegisterDeal", &deal("d-1", "p-1")).import(false);
            assert_eq!(is(moved).refusal("OpenProtection", &opened), refusal);
            assert_eq!(is(Story::registered()).import(true).decide("ApproveDeal", &d1()).err(), None, "history grants none");
        }
    }
}
