//! `[certifications]`: how long a certification lasts and which levels there are (F22, F23).

use serde::{Deserialize, Serialize};

use super::source::Section;
use crate::values::Label;

/// Certifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificationRules {
    /// Days until a certification runs out where the award names no date (F23).
    pub validity_days: u32,
    /// The levels there are, lowest first.
    pub levels: Vec<Label>,
}

impl CertificationRules {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let validity_days = section.days("validity_days", 1);
        let levels = levels(&mut section);
        section.end();
        Some(Self { validity_days: validity_days?.value, levels: levels? })
    }
}

fn levels(section: &mut Section<'_, '_>) -> Option<Vec<Label>> {
    let levels = section.list::<Label>("levels")?;
    if levels.value.is_empty() {
        section.note(&levels.span, "certifications.levels is empty; at least one level like \"professional\" is needed");
    }
    for (place, level) in levels.value.iter().enumerate() {
        if levels.value[..place].iter().any(|other| other.value == level.value) {
            section.note(&level.span, &format!("the level {:?} is there twice; levels must differ", level.value.as_str()));
        }
    }
    Some(levels.value.into_iter().map(|located| located.value).collect())
}
