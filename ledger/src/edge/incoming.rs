//! What comes in, before anything about it is believed.

use std::sync::Arc;

use pledger_domain::{facts::Channel, values::Timestamp};

use crate::slices::Position;

/// One command as it came in: from an HTTP request, an item of a batch, a CloudEvent, a row of an import, a policy.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// The command's name.
    pub name: &'a str,
    /// The payload, as JSON.
    pub payload: &'a [u8],
    /// The idempotency key; a new UUID (version 7) where absent.
    pub key: Option<&'a str>,
    /// The authenticated principal, `anonymous`, a CloudEvent's source, `import:<mapping>` or a policy's name.
    pub sender: Arc<str>,
    /// Who the sender says acted: an id.
    pub actor: Option<&'a str>,
    /// How it came in.
    pub channel: Channel,
    /// When it came in; now where absent.
    pub received_at: Option<Timestamp>,
    /// The business time that the sender gave.
    pub effective_at: Option<Timestamp>,
    /// Whether it may be decided under the rules of its business time. For the channel `import`: whether it is history
    /// (an opening command is not). For the others: whether the sender has the right `backdate`; it then is history where
    /// `effective_at` lies before `received_at`.
    pub backdate: bool,
    /// The version the stream must be at.
    pub if_match: Option<u64>,
    /// Positions in the reference slices that the sender has seen.
    pub after: Vec<Position>,
    /// What sent it.
    pub cause: Option<&'a str>,
    /// The sender's own id of the person or row that the payload is about. Persons whom the payload names without an id
    /// get their subject from it; where it is absent too, from stream and key, so that a retry finds them again.
    pub row_id: Option<&'a str>,
}

impl<'a> Incoming<'a> {
    /// A command without anything optional.
    #[must_use]
    pub const fn new(name: &'a str, payload: &'a [u8], sender: Arc<str>, channel: Channel) -> Self {
        Self {
            name,
            payload,
            key: None,
            sender,
            actor: None,
            channel,
            received_at: None,
            effective_at: None,
            backdate: false,
            if_match: None,
            after: vec![],
            cause: None,
            row_id: None,
        }
    }
}
