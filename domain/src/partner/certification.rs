//! What the commands about certifications share (F22, F23).

use crate::{
    rejection::Rejection,
    rules::Rules,
    values::{CertificationId, Label, PersonId, Timestamp},
};

/// When a certification of `level` that begins at `begins_at` runs out: at the given instant, else after the rules'
/// days of validity.
///
/// # Errors
/// `UnknownCertificationLevel`; `EndsBeforeItBegins` where it would never be in force.
pub(super) fn validity(rules: &Rules, level: &Label, begins_at: Timestamp, expires_at: Option<Timestamp>) -> Result<Timestamp, Rejection> {
    let certifications = &rules.certifications;
    if !certifications.levels.contains(level) {
        return Err(Rejection::UnknownCertificationLevel { level: level.to_string() });
    }
    let expires_at = expires_at.unwrap_or_else(|| begins_at.plus_days(i64::from(certifications.validity_days)));
    if expires_at <= begins_at {
        return Err(Rejection::EndsBeforeItBegins { begins_at, expires_at });
    }
    Ok(expires_at)
}

/// The refusal of what needs a certification that the person does not hold.
pub(super) fn not_held(person_id: &PersonId, certification: &CertificationId) -> Rejection {
    Rejection::CertificationNotHeld { person_id: person_id.clone(), certification: certification.clone() }
}
