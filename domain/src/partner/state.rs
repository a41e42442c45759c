//! A partner's state: what its own decisions and those of other streams are made from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{PartnerEvent, PartnerPhase, Role};
use crate::{
    deadline::Deadline,
    stream::{Stream, StreamKind},
    values::{CertificationId, CompletionId, CourseId, Label, PersonId, StaffId, TierName, Timestamp},
};

/// A partner's state. Every processor holds a copy, so it keeps what decides and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    phase: PartnerPhase,
    name: Option<Label>,
    registered_at: Option<Timestamp>,
    signed_at: Option<Timestamp>,
    retiring_since: Option<Timestamp>,
    roles: BTreeSet<Role>,
    region: Option<Label>,
    manager: Option<StaffId>,
    courses: BTreeSet<CourseId>,
    completions: BTreeSet<CompletionId>,
    certifications: BTreeMap<PersonId, BTreeMap<CertificationId, HeldCertification>>,
    tier: Option<TierName>,
    grace_until: Option<Timestamp>,
    evaluated: BTreeSet<String>,
}

/// A certification that a person holds, or held until it ran out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldCertification {
    /// One of the rules' levels, as it was awarded.
    pub level: Label,
    /// From when it is in force without a gap.
    pub since: Timestamp,
    /// The instant at which it is no longer in force.
    pub expires_at: Timestamp,
    /// Whether the expiry is recorded: it raises no deadline any more.
    pub expired: bool,
}

impl HeldCertification {
    /// Whether it counts at `at`.
    #[must_use]
    pub fn in_force_at(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.expires_at
    }
}

impl Partner {
    /// Where the partner stands.
    #[must_use]
    pub const fn phase(&self) -> PartnerPhase {
        self.phase
    }

    /// Whether it was nominated or registered.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.phase != PartnerPhase::Unknown
    }

    /// Whether its phase is Active. A partner that is retiring stays active until its last open item is settled: ask
    /// `retiring_since` too before something new begins.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase == PartnerPhase::Active
    }

    /// Whether the partner agreement is signed.
    #[must_use]
    pub const fn agreement_signed(&self) -> bool {
        self.signed_at.is_some()
    }

    /// When the agreement was signed.
    #[must_use]
    pub const fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    /// When retirement started, where it did.
    #[must_use]
    pub const fn retiring_since(&self) -> Option<Timestamp> {
        self.retiring_since
    }

    /// When it was registered, or nominated where it did not apply yet.
    #[must_use]
    pub const fn registered_at(&self) -> Option<Timestamp> {
        self.registered_at
    }

    /// Whether anybody at the partner completed the course.
    #[must_use]
    pub fn has_completed(&self, course: &CourseId) -> bool {
        self.courses.contains(course)
    }

    /// Whether this completion is recorded.
    #[must_use]
    pub fn has_completion(&self, completion: &CompletionId) -> bool {
        self.completions.contains(completion)
    }

    /// The awarded tier.
    #[must_use]
    pub const fn tier(&self) -> Option<&TierName> {
        self.tier.as_ref()
    }

    /// Until when the awarded tier is kept although its figures are no longer earned.
    #[must_use]
    pub const fn grace_until(&self) -> Option<Timestamp> {
        self.grace_until
    }

    /// Whether the tier was evaluated for this period.
    #[must_use]
    pub fn was_evaluated_for(&self, period: &str) -> bool {
        self.evaluated.contains(period)
    }

    /// The sales region its deals default to.
    #[must_use]
    pub const fn region(&self) -> Option<&Label> {
        self.region.as_ref()
    }

    /// What it does.
    #[must_use]
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// Its legal name.
    #[must_use]
    pub const fn name(&self) -> Option<&Label> {
        self.name.as_ref()
    }

    /// Its one primary partner manager.
    #[must_use]
    pub const fn manager(&self) -> Option<&StaffId> {
        self.manager.as_ref()
    }

    /// The certification of a person, in force or run out; none where it was never awarded, or was revoked.
    #[must_use]
    pub fn certification(&self, person: &PersonId, certification: &CertificationId) -> Option<&HeldCertification> {
        self.certifications.get(person)?.get(certification)
    }

    /// Every certification, in force or run out, by person and then by certification.
    pub fn certifications(&self) -> impl Iterator<Item = (&PersonId, &CertificationId, &HeldCertification)> {
        self.certifications.iter().flat_map(|(person, held)| held.iter().map(move |(certification, held)| (person, certification, held)))
    }

    /// How many certifications are in force at `at`, of those that were not revoked since. A person's certification
    /// counts once, however often it was renewed.
    #[must_use]
    pub fn active_certifications(&self, at: Timestamp) -> usize {
        self.certifications().filter(|(_, _, held)| held.in_force_at(at)).count()
    }

    /// What falls due and when, in the order of time: the ends of certifications.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let mut due: Vec<_> = self.running().collect();
        due.sort_by_key(|(_, _, held)| held.expires_at);
        due.into_iter().map(|(person, certification, held)| {
            // A slash is in no id, so no two subjects are written alike.
            let subject = format!("{person}/{certification}");
            let payload = json!({"person_id": person, "certification": certification, "due": held.expires_at});
            Deadline::new("ExpireCertification", subject, held.expires_at, payload)
        })
    }

    /// When the first of `deadlines` falls due.
    #[must_use]
    pub fn first_due(&self) -> Option<Timestamp> {
        self.running().map(|(_, _, held)| held.expires_at).min()
    }

    fn running(&self) -> impl Iterator<Item = (&PersonId, &CertificationId, &HeldCertification)> {
        self.certifications().filter(|(_, _, held)| !held.expired)
    }

    fn certified(&mut self, person: &PersonId, certification: &CertificationId, held: HeldCertification) {
        let of_person = self.certifications.entry(person.clone()).or_default();
        // An old award that is recorded late does not hide a newer one.
        if of_person.get(certification).is_none_or(|known| known.expires_at <= held.expires_at) {
            of_person.insert(certification.clone(), held);
        }
    }

    fn renewed(&mut self, person: &PersonId, certification: &CertificationId, renewal: HeldCertification) {
        let known = self.certifications.entry(person.clone()).or_default().entry(certification.clone()).or_insert_with(|| renewal.clone());
        // A renewal in time goes on from the award; one after the expiry leaves a gap.
        let since = if renewal.since <= known.expires_at { known.since.min(renewal.since) } else { renewal.since };
        *known = HeldCertification { since, ..renewal };
    }

    fn revoked(&mut self, person: &PersonId, certification: &CertificationId) {
        if let Some(of_person) = self.certifications.get_mut(person) {
            of_person.remove(certification);
            if of_person.is_empty() {
                self.certifications.remove(person);
            }
        }
    }

    fn expired(&mut self, person: &PersonId, certification: &CertificationId) {
        if let Some(held) = self.certifications.get_mut(person).and_then(|of_person| of_person.get_mut(certification)) {
            held.expired = true;
        }
    }

    fn awarded(&mut self, tier: &TierName) {
        self.tier = Some(tier.clone());
        self.grace_until = None;
    }
}

impl Stream for Partner {
    const KIND: StreamKind = StreamKind::Partner;
    type Event = PartnerEvent;

    fn evolve(&mut self, event: &PartnerEvent, at: Timestamp) {
        match event {
            PartnerEvent::PartnerNominated { name } => {
                self.phase = PartnerPhase::Prospect;
                self.name = Some(name.clone());
                self.registered_at = Some(at);
            }
            PartnerEvent::PartnerRegistered { name, roles, country: _, region } => {
                self.phase = PartnerPhase::Applied;
                self.name = Some(name.clone());
                self.roles.extend(roles);
                self.region = region.clone().or_else(|| self.region.take());
                self.registered_at = Some(at);
            }
            PartnerEvent::PartnerRoleAssigned { role } => {
                self.roles.insert(*role);
            }
            PartnerEvent::PartnerRoleRevoked { role } => {
                self.roles.remove(role);
            }
            PartnerEvent::PartnerRegionAssigned { region } => self.region = Some(region.clone()),
            PartnerEvent::AgreementSigned { signed_at } => {
                self.phase = PartnerPhase::Onboarding;
                self.signed_at = Some(*signed_at);
            }
            PartnerEvent::PartnerActivated {} => self.phase = PartnerPhase::Active,
            PartnerEvent::PartnerSuspended { reason: _ } => self.phase = PartnerPhase::Suspended,
            PartnerEvent::RetirementStarted { reason: _ } => self.retiring_since = Some(at),
            PartnerEvent::RetirementCompleted { as_of: _ } => self.phase = PartnerPhase::Retired,
            PartnerEvent::PartnerManagerAssigned { manager_id, name: _ } => self.manager = Some(manager_id.clone()),
            PartnerEvent::CourseCompleted { completion_id, person_id: _, course, completed_at: _, hours: _, person_name: _ } => {
                self.courses.insert(course.clone());
                self.completions.extend(completion_id.clone());
            }
            PartnerEvent::CertificationAwarded { person_id, certification, level, awarded_at, expires_at, person_name: _ } => {
                let held = HeldCertification { level: level.clone(), since: *awarded_at, expires_at: *expires_at, expired: false };
                self.certified(person_id, certification, held);
            }
            PartnerEvent::CertificationRenewed { person_id, certification, level, renewed_at, expires_at } => {
                let renewal = HeldCertification { level: level.clone(), since: *renewed_at, expires_at: *expires_at, expired: false };
                self.renewed(person_id, certification, renewal);
            }
            PartnerEvent::CertificationRevoked { person_id, certification, reason: _ } => self.revoked(person_id, certification),
            PartnerEvent::CertificationExpired { person_id, certification, expired_at: _ } => self.expired(person_id, certification),
            PartnerEvent::TierEvaluated { period, inputs: _, earned: _ } => {
                self.evaluated.insert(period.clone());
            }
            PartnerEvent::TierPromoted { from: _, to } | PartnerEvent::TierDemoted { from: _, to } => self.awarded(to),
            PartnerEvent::TierOverridden { from: _, to, reason: _, approver: _ } => self.awarded(to),
            PartnerEvent::TierGraceStarted { tier: _, earned: _, until } => self.grace_until = Some(*until),
            PartnerEvent::TierGraceEnded { tier: _ } => self.grace_until = None,
        }
    }
}
