//! What falls due when: the scheduler sends it as a command, since no fold reads a clock.

use serde_json::Value;

use crate::{
    stream::{StreamKind, StreamName},
    values::Timestamp,
};

/// A command that the scheduler is to send at `due`, unless something happens before. It goes to the stream whose
/// state named it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// From when on the command is accepted; also its business time.
    pub due: Timestamp,
    /// The command's name in the catalogue.
    pub command: &'static str,
    /// The command's payload without the field that names the stream, which a state does not know: see `payload_in`.
    pub payload: Value,
    /// The idempotency key within the stream: the same for the same thing falling due at the same time, such as
    /// `ExpireDeal:d-1:2026-11-05T00:00:00Z`.
    pub id: String,
}

impl Deadline {
    /// `command` about `subject` (what falls due, by its id within the stream) at `due`.
    #[must_use]
    pub fn new(command: &'static str, subject: impl std::fmt::Display, due: Timestamp, payload: Value) -> Self {
        Self { due, command, payload, id: format!("{command}:{subject}:{due}") }
    }

    /// The whole payload: the field that names the stream (`account`, `partner_id`, `budget_id`) is set, so that no
    /// directory has to find it.
    #[must_use]
    pub fn payload_in(&self, stream: &StreamName) -> Value {
        let mut payload = self.payload.clone();
        let field = match stream.kind() {
            StreamKind::Account => Some("account"),
            StreamKind::Partner => Some("partner_id"),
            StreamKind::Fund => Some("budget_id"),
            StreamKind::Program | StreamKind::Cost => None,
        };
        if let (Some(field), Some(fields)) = (field, payload.as_object_mut()) {
            fields.insert(field.to_owned(), Value::from(stream.key()));
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deadline_names_its_stream_and_itself() {
        let due = Timestamp::parse("2026-11-05").expect("a date");
        let deadline = Deadline::new("ExpireDeal", "d-1", due, json!({"deal_id": "d-1"}));
        assert_eq!(deadline.id, "ExpireDeal:d-1:2026-11-05T00:00:00Z");
        for (stream, payload) in [
            ("account/acme.com", json!({"deal_id": "d-1", "account": "acme.com"})),
            ("partner/p-1", json!({"deal_id": "d-1", "partner_id": "p-1"})),
            ("fund/b-1", json!({"deal_id": "d-1", "budget_id": "b-1"})),
            ("program", json!({"deal_id": "d-1"})),
        ] {
            assert_eq!(deadline.payload_in(&StreamName::parse(stream).expect(stream)), payload);
        }
    }
}
