//! A command as it is stored in the topic: versioned like a record, read again through the catalogue.
//!
//! Messages live for days, records for ever; but both outlive the program that wrote them. A later format is added as that
//! of a record is (see `record::stored`). Whoever decides is upgraded before whoever sends: a message of a later format is none.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use compact_str::CompactString;
use pledger_domain::{
    catalogue::{Command, InvalidPayload},
    facts::Channel,
    stream::StreamName,
    values::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    commands::CommandEnvelope,
    slices::{Position, SliceId, Slices},
};

/// The format that commands are written in.
pub const FORMAT: u32 = 1;

/// Why a message holds no command that can be decided.
#[derive(Debug, thiserror::Error)]
pub enum NoCommand {
    /// It is not of the form.
    #[error("it is no command: {0}")]
    Form(#[from] serde_json::Error),
    /// It was written by a later pledger.
    #[error("it is of format {0}; this pledger reads up to {FORMAT}")]
    FormatAhead(u32),
    /// The catalogue does not have it so.
    #[error("{0}")]
    Payload(#[from] InvalidPayload),
    /// It names a person in plain text, which no record may hold.
    #[error("it names a person in plain text")]
    Plain,
    /// It is addressed to another slice, or to a kind of stream that does not take it.
    #[error("{name} to {stream} does not belong here")]
    Elsewhere {
        /// The command.
        name: String,
        /// Its stream.
        stream: StreamName,
    },
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    stream: StreamName,
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, RawValue>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    actor: Option<Cow<'a, str>>,
    channel: Channel,
    received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    historical: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    if_match: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<Position>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cow<'a, str>>,
    /// 32 hexadecimal digits.
    #[serde(borrow)]
    input: Cow<'a, str>,
}

/// The bytes of a command's message.
///
/// # Panics
/// Never: an envelope holds nothing that JSON cannot.
#[must_use]
pub fn encode(envelope: &CommandEnvelope) -> Bytes {
    let payload: &RawValue = &envelope.payload;
    let mut digits = [0; 32];
    let stored = Stored {
        v: FORMAT,
        stream: envelope.stream.clone(),
        name: Cow::Borrowed(envelope.command.spec().name),
        payload: Cow::Borrowed(payload),
        key: Cow::Borrowed(&envelope.key),
        sender: Cow::Borrowed(&envelope.sender),
        actor: envelope.actor.as_deref().map(Cow::Borrowed),
        channel: envelope.channel,
        received_at: envelope.received_at,
        effective_at: envelope.effective_at,
        historical: envelope.historical,
        if_match: envelope.if_match,
        after: envelope.after.clone(),
        cause: envelope.cause.as_deref().map(Cow::Borrowed),
        input: Cow::Borrowed(envelope.input_digits(&mut digits)),
    };
    Bytes::from(serde_json::to_vec(&stored).expect("plain data and a payload that is JSON"))
}

/// Reads a message of `slice`. Anybody may have written it: what is decided and recorded is only what an edge would let
/// pass.
///
/// # Errors
/// `NoCommand`.
pub fn decode(slices: Slices, slice: SliceId, bytes: &[u8]) -> Result<CommandEnvelope, NoCommand> {
    let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(|error| explain(bytes, error))?;
    if stored.v > FORMAT {
        return Err(NoCommand::FormatAhead(stored.v));
    }
    let command = Command::parse(&stored.name, stored.payload.get().as_bytes())?;
    if command.spec().stream != stored.stream.kind() || slices.of(&stored.stream) != slice {
        return Err(NoCommand::Elsewhere { name: stored.name.into_owned(), stream: stored.stream });
    }
    // Written as it is recorded, whatever the sender's spaces and order of fields.
    let payload = command.payload_json().map_err(|_| NoCommand::Plain)?;
    let input = u128::from_str_radix(&stored.input, 16).map_err(|_| serde::de::Error::custom("the input is no hash"));
    Ok(CommandEnvelope {
        stream: stored.stream,
        command,
        payload,
        key: CompactString::new(&stored.key),
        sender: Arc::from(&*stored.sender),
        actor: stored.actor.as_deref().map(CompactString::new),
        channel: stored.channel,
        received_at: stored.received_at,
        effective_at: stored.effective_at,
        historical: stored.historical,
        if_match: stored.if_match,
        after: stored.after.into_iter().filter(|position| position.slice < slices.reference).collect(),
        cause: stored.cause.as_deref().map(CompactString::new),
        input: input.map_err(NoCommand::Form)?,
    })
}

/// Why a message of no known form is none: a later pledger may have written it.
fn explain(bytes: &[u8], error: serde_json::Error) -> NoCommand {
    #[derive(Deserialize)]
    struct Format {
        v: u32,
    }
    match serde_json::from_slice(bytes) {
        Ok(Format { v }) if v > FORMAT => NoCommand::FormatAhead(v),
        Ok(_) | Err(_) => NoCommand::Form(error),
    }
}
