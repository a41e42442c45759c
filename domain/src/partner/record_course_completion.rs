//! A person at a partner completes a course (F20).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Partner, PartnerEvent, guard};
use crate::{
    command::{Address, CommandPayload},
    facts::Facts,
    rejection::Rejection,
    stream::StreamName,
    values::{CompletionId, CourseId, InvalidAccount, PartnerId, PersonId, Personal, PersonalVisitor, Timestamp},
};

/// Records that a person at a partner completed a course.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordCourseCompletion {
    /// The partner.
    pub partner_id: PartnerId,
    /// The person, by a pseudonym.
    pub person_id: PersonId,
    /// The course, such as `101`.
    pub course: CourseId,
    /// The completion, as the learning system names it: recorded once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_id: Option<CompletionId>,
    /// When; at the business time of the command where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// The hours of training, a decimal string from 0 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "training_hours")]
    #[schema(value_type = Option<String>, example = "1.5")]
    pub hours: Option<Decimal>,
    /// The person's name; its subject is `person_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_name: Option<Personal>,
}

impl CommandPayload for RecordCourseCompletion {
    const NAME: &'static str = "RecordCourseCompletion";
    const SUMMARY: &'static str = "Records that a person at a partner completed a course.";
    const EXAMPLE: &'static str = r#"{"partner_id":"p-nordwind","person_id":"e-204","course":"101","completion_id":"lms-88431","completed_at":"2027-02-03T16:30:00Z","hours":"1.5"}"#;
    type Stream = Partner;

    fn address(&self) -> Result<Address, InvalidAccount> {
        Ok(Address::Stream(StreamName::partner(&self.partner_id)))
    }

    fn business_time(&self) -> Option<Timestamp> {
        self.completed_at
    }

    fn builds_on(&self, state: &Partner) -> Option<Timestamp> {
        state.registered_at()
    }

    fn visit_personal<V: PersonalVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        let mut subject = Some(self.person_id.clone());
        visitor.field("person_name", &mut subject, &mut self.person_name)?;
        if let Some(person_id) = subject {
            self.person_id = person_id;
        }
        Ok(())
    }

    fn decide(&self, state: &Partner, facts: &Facts) -> Result<Vec<PartnerEvent>, Rejection> {
        guard::in_program(state, &self.partner_id)?;
        if let Some(completion_id) = self.completion_id.as_ref().filter(|id| state.has_completion(id)) {
            return Err(Rejection::CompletionExists { completion_id: completion_id.clone() });
        }
        let completed_at = guard::business_date(self.completed_at, facts)?;
        Ok(vec![PartnerEvent::CourseCompleted {
            completion_id: self.completion_id.clone(),
            person_id: self.person_id.clone(),
            course: self.course.clone(),
            completed_at,
            hours: self.hours,
            person_name: self.person_name.clone(),
        }])
    }
}

/// The most hours that one completion may stand for.
const MAX_TRAINING_HOURS: i64 = 10_000;

fn training_hours<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Decimal>, D::Error> {
    match Option::<Decimal>::deserialize(d)? {
        Some(hours) if hours < Decimal::ZERO || hours > Decimal::from(MAX_TRAINING_HOURS) => {
            Err(serde::de::Error::custom(format_args!("{hours} is not between 0 and {MAX_TRAINING_HOURS} hours")))
        }
        hours => Ok(hours),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::partner::scenario::{Sealer, active_and, at, check_open_to_all_in_program, command, facts};

    fn complete(completion_id: Option<&str>, completed_at: Option<&str>) -> RecordCourseCompletion {
        let given = json!({"completion_id": completion_id, "completed_at": completed_at, "hours": "1.5"});
        let mut payload = json!({"partner_id": "p-1", "person_id": "e-1", "course": "101"});
        for (field, value) in given.as_object().expect("an object").iter().filter(|(_, value)| !value.is_null()) {
            payload[field] = value.clone();
        }
        command(payload)
    }

    fn completed(completion_id: Option<&str>, completed_at: Timestamp) -> PartnerEvent {
        PartnerEvent::CourseCompleted {
            completion_id: completion_id.map(|id| CompletionId::parse(id).expect("an id")),
            person_id: PersonId::parse("e-1").expect("an id"),
            course: CourseId::parse("101").expect("an id"),
            completed_at,
            hours: Some(Decimal::new(15, 1)),
            person_name: None,
        }
    }

    #[test]
    fn people_at_any_partner_in_the_program_may_learn() {
        check_open_to_all_in_program(&complete(Some("lms-1"), None), &[completed(Some("lms-1"), facts().effective_at)]);
    }

    #[test]
    fn a_completion_is_recorded_once() {
        let state = active_and(&[completed(Some("lms-1"), at("2026-02-01"))]);
        assert!(state.has_completed(&CourseId::parse("101").expect("an id")));
        let now = facts().now;
        let completion_id = CompletionId::parse("lms-1").expect("an id");
        for (again, expected) in [
            (complete(Some("lms-1"), Some("2026-02-01")), Err(Rejection::CompletionExists { completion_id })),
            (complete(Some("lms-2"), Some("2026-03-01")), Ok(vec![completed(Some("lms-2"), at("2026-03-01"))])),
            (complete(None, Some("2026-03-01")), Ok(vec![completed(None, at("2026-03-01"))])),
            (complete(None, Some("2026-11-07")), Err(Rejection::DateInFuture { date: at("2026-11-07"), now })),
        ] {
            assert_eq!(again.decide(&state, &facts()), expected, "{again:?}");
        }
    }

    #[test]
    fn hours_are_a_decimal_string_within_reason() {
        for hours in [json!("-1"), json!("10000.5"), json!(1.5), json!("many")] {
            let payload = json!({"partner_id": "p-1", "person_id": "e-1", "course": "101", "hours": hours});
            assert!(serde_json::from_value::<RecordCourseCompletion>(payload).is_err(), "{hours}");
        }
    }

    #[test]
    fn the_name_is_sealed_under_the_persons_id() {
        let mut complete: RecordCourseCompletion =
            command(json!({"partner_id": "p-1", "person_id": "e-1", "course": "101", "person_name": "Ada"}));
        let mut sealer = Sealer::default();
        complete.visit_personal(&mut sealer).expect("sealed");
        assert_eq!(sealer.seen, [("person_name", "e-1".to_owned(), "Ada".to_owned())]);
        assert_eq!(complete.person_name, Some(Personal::Sealed("Ada".into())));
    }
}
