//! The fold of partners.

use compact_str::CompactString;
use pledger_domain::{
    partner::{PartnerEvent, PartnerPhase, Role},
    rejection::Rejection,
    values::{CertificationId, Label, Period, PersonId, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use super::row::{Certification, CertificationKey, Partner, PartnerKey};
use crate::{
    cell::Json,
    deals::Deals,
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

/// The partners of a shard.
#[derive(Debug, Default)]
pub struct Partners {
    /// By id.
    pub partners: Table<Partner>,
    /// By partner, person and certification.
    pub certifications: Table<Certification>,
}

impl Fold for Partners {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, _deals: &Deals) {
        match &decision.outcome {
            Outcome::Accepted(Events::Partner(events)) => events.iter().for_each(|event| self.event(event, decision, at)),
            Outcome::Accepted(Events::Program(_) | Events::Account(_) | Events::Fund(_) | Events::Cost(_)) => {}
            Outcome::Rejected(rejection) => self.refused(rejection, at),
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.partners, &self.certifications]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.partners, &mut self.certifications]
    }
}

impl Partners {
    fn event(&mut self, event: &PartnerEvent, decision: &Outline<'_>, at: &At<'_>) {
        let when = decision.effective_at;
        let partner = self.partners.upsert(PartnerKey { partner: at.key }, at, || unknown(when, decision.recorded_at));
        partner.last_at = partner.last_at.max(when);
        match event {
            PartnerEvent::PartnerNominated { name } => {
                partner.phase = PartnerPhase::Prospect;
                partner.name = name.as_str().into();
                partner.registered_at = Some(when);
            }
            PartnerEvent::PartnerRegistered { name, roles, country, region } => {
                partner.phase = PartnerPhase::Applied;
                partner.name = name.as_str().into();
                partner.country = label(country.as_ref()).or(partner.country);
                partner.region = label(region.as_ref()).or(partner.region);
                partner.registered_at = Some(when);
                roles.iter().for_each(|role| add_role(partner, *role));
            }
            PartnerEvent::PartnerRoleAssigned { role } => add_role(partner, *role),
            PartnerEvent::PartnerRoleRevoked { role } => partner.roles.0.retain(|known| known != role),
            PartnerEvent::PartnerRegionAssigned { region } => partner.region = label(Some(region)),
            PartnerEvent::AgreementSigned { signed_at } => {
                partner.phase = PartnerPhase::Onboarding;
                partner.agreement_at = Some(*signed_at);
            }
            PartnerEvent::PartnerActivated {} => {
                partner.phase = PartnerPhase::Active;
                partner.activated_at = partner.activated_at.or(Some(when));
            }
            PartnerEvent::PartnerSuspended { .. } => partner.phase = PartnerPhase::Suspended,
            PartnerEvent::RetirementStarted { .. } => {
                (partner.retiring_since, partner.retirement) = (Some(when), Some(at.position));
            }
            PartnerEvent::RetirementCompleted { .. } => {
                partner.phase = PartnerPhase::Retired;
                partner.retirement_blocked_by = None;
            }
            PartnerEvent::PartnerManagerAssigned { manager_id, name } => {
                partner.manager = Some(Symbol::of(manager_id.as_str()));
                partner.manager_name = name.clone().map(Json);
            }
            PartnerEvent::TierPromoted { to, .. } | PartnerEvent::TierDemoted { to, .. } | PartnerEvent::TierOverridden { to, .. } => {
                partner.tier = Some(Symbol::of(to.as_str()));
                (partner.grace_until, partner.at_risk_since) = (None, None);
            }
            PartnerEvent::TierGraceStarted { until, .. } => (partner.grace_until, partner.at_risk_since) = (Some(*until), Some(when)),
            PartnerEvent::TierGraceEnded { .. } => (partner.grace_until, partner.at_risk_since) = (None, None),
            PartnerEvent::CertificationAwarded { person_id, certification, level, awarded_at, expires_at, .. } => {
                self.award(person_id, certification, level, (*awarded_at, *expires_at), at);
            }
            PartnerEvent::CertificationRenewed { person_id, certification, level, renewed_at, expires_at } => {
                self.renew(person_id, certification, level, (*renewed_at, *expires_at), at);
            }
            PartnerEvent::CertificationRevoked { person_id, certification, .. } => {
                if let Some(held) = self.certifications.change(&key(person_id, certification, at), at) {
                    held.revoked_at = Some(when);
                }
            }
            PartnerEvent::TierEvaluated { period, .. } => {
                partner.evaluated_until = partner.evaluated_until.max(Period::parse(period).ok().map(Period::end));
            }
            // A certification's row says itself when it ran out; a course changes nothing that a row shows.
            PartnerEvent::CertificationExpired { .. } | PartnerEvent::CourseCompleted { .. } => {}
        }
    }

    /// Most refusals change nothing. This one says what a retirement waits for.
    fn refused(&mut self, rejection: &Rejection, at: &At<'_>) {
        if let Rejection::RetirementBlocked { open, .. } = rejection
            && let Some(partner) = self.partners.change(&PartnerKey { partner: at.key }, at)
        {
            partner.retirement_blocked_by = Some(Json(open.clone()));
        }
    }

    fn award(
        &mut self,
        person: &PersonId,
        certification: &CertificationId,
        level: &Label,
        (since, until): (Timestamp, Timestamp),
        at: &At<'_>,
    ) {
        let awarded = Certification { level: Symbol::of(level.as_str()), since, expires_at: until, revoked_at: None };
        let held = self.certifications.upsert(key(person, certification, at), at, || awarded.clone());
        // An old award that is recorded late does not hide a newer one.
        if held.revoked_at.is_some() || held.expires_at <= until {
            *held = awarded;
        }
    }

    fn renew(
        &mut self,
        person: &PersonId,
        certification: &CertificationId,
        level: &Label,
        (since, until): (Timestamp, Timestamp),
        at: &At<'_>,
    ) {
        let renewed = Certification { level: Symbol::of(level.as_str()), since, expires_at: until, revoked_at: None };
        let held = self.certifications.upsert(key(person, certification, at), at, || renewed.clone());
        // A renewal in time goes on from the award; one after the expiry leaves a gap.
        let since = if since <= held.expires_at && held.revoked_at.is_none() { held.since.min(since) } else { since };
        *held = Certification { since, ..renewed };
    }
}

fn key(person: &PersonId, certification: &CertificationId, at: &At<'_>) -> CertificationKey {
    CertificationKey { partner: at.key, person: CompactString::new(person.as_str()), certification: Symbol::of(certification.as_str()) }
}

fn label(label: Option<&Label>) -> Option<Symbol> {
    label.map(|label| Symbol::of(label.as_str()))
}

fn add_role(partner: &mut Partner, role: Role) {
    if let Err(place) = partner.roles.0.binary_search(&role) {
        partner.roles.0.insert(place, role);
    }
}

fn unknown(when: Timestamp, recorded_at: Timestamp) -> Partner {
    Partner {
        name: CompactString::default(),
        roles: Json(Vec::new()),
        phase: PartnerPhase::Unknown,
        region: None,
        country: None,
        manager: None,
        manager_name: None,
        registered_at: None,
        agreement_at: None,
        activated_at: None,
        known_at: recorded_at,
        retiring_since: None,
        retirement: None,
        retirement_blocked_by: None,
        tier: None,
        grace_until: None,
        at_risk_since: None,
        evaluated_until: None,
        last_at: when,
    }
}
