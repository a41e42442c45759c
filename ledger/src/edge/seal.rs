//! Sealing the personal fields of a payload, and what of them counts as input.

use std::convert::Infallible;

use pledger_domain::{
    catalogue::Command,
    facts::Channel,
    stream::StreamName,
    values::{PersonId, Personal, PersonalVisitor, Timestamp},
};
use sha2::{Digest, Sha256};

use crate::keys::{self, KeyStore};

use super::Refused;

/// Where the subjects of persons without an id come from.
pub(super) struct Persons<'a> {
    pub(super) keys: &'a dyn KeyStore,
    pub(super) channel: Channel,
    pub(super) sender: &'a str,
    pub(super) row_id: Option<&'a str>,
    pub(super) stream: &'a StreamName,
    pub(super) key: &'a str,
}

/// Seals every personal field of `command` and gives its person an id where it has none. Returns whether there were any.
///
/// What is staged has to be settled before the command goes anywhere.
pub(super) fn seal(command: &mut Command, persons: Persons<'_>) -> Result<bool, Refused> {
    let mut sealer = Sealer { persons, unnamed: 0, fields: 0 };
    command.visit_personal(&mut sealer)?;
    Ok(sealer.fields > 0)
}

struct Sealer<'a> {
    persons: Persons<'a>,
    /// How many persons without an id came before.
    unnamed: usize,
    fields: usize,
}

impl Sealer<'_> {
    /// The subject of the next person without an id.
    fn next_unnamed(&mut self) -> Result<PersonId, Refused> {
        let Persons { keys, sender, row_id, stream, key, .. } = self.persons;
        let nth = self.unnamed;
        self.unnamed += 1;
        // A key counts within its stream only: elsewhere it may be used for somebody else. The prefixes keep a row id that
        // looks like a key apart from it.
        let row = match row_id {
            Some(row) => format!("row {nth} {row}"),
            None => format!("key {nth} {stream} {key}"),
        };
        Ok(keys.stage_subject(sender, &row)?)
    }
}

impl PersonalVisitor for Sealer<'_> {
    type Error = Refused;

    fn field(&mut self, name: &'static str, subject: &mut Option<PersonId>, value: &mut Option<Personal>) -> Result<(), Refused> {
        let Some(personal) = value else { return Ok(()) };
        self.fields += 1;
        match personal {
            Personal::Plain(plain) => {
                let subject = match subject {
                    Some(subject) => subject,
                    None => subject.insert(self.next_unnamed()?),
                };
                *personal = self.persons.keys.stage_seal(subject, plain)?;
                Ok(())
            }
            Personal::Sealed(text) if is_internal(self.persons.channel) && keys::subject_of(text) == *subject => Ok(()),
            Personal::Erased if is_internal(self.persons.channel) => Ok(()),
            Personal::Sealed(_) | Personal::Erased => Err(Refused::SealedFromOutside { field: name }),
        }
    }
}

/// Policies and deadlines pass on what decisions hold, sealed as it is.
const fn is_internal(channel: Channel) -> bool {
    match channel {
        Channel::Policy | Channel::Deadline => true,
        Channel::Api | Channel::Ingest | Channel::Import => false,
    }
}

/// The hash of what was asked: the first 128 bits of SHA-256 over the command's name, its payload and its business time.
///
/// SHA-256, since senders choose their inputs: nobody shall find two that pass for one. The payload is that of the type,
/// so that white space and the order of fields do not matter. A personal field counts by its subject and by being there,
/// so that a retry matches although its person was erased meanwhile.
pub(super) fn input_hash(command: &Command, payload: &str, has_personal: bool, effective_at: Option<Timestamp>) -> u128 {
    struct Blank;
    impl PersonalVisitor for Blank {
        type Error = Infallible;
        fn field(&mut self, _: &'static str, _: &mut Option<PersonId>, value: &mut Option<Personal>) -> Result<(), Infallible> {
            if value.is_some() {
                *value = Some(Personal::Erased);
            }
            Ok(())
        }
    }
    let mut sha = Sha256::new_with_prefix(b"pledger input 1\0");
    sha.update(command.spec().name);
    sha.update([0]);
    match effective_at {
        Some(at) => {
            sha.update([1]);
            sha.update(at.micros().to_le_bytes());
        }
        None => sha.update([0]),
    }
    if has_personal {
        let mut blank = command.clone();
        let Ok(()) = blank.visit_personal(&mut Blank);
        sha.update(blank.payload_json().expect("erased fields can be written").get());
    } else {
        sha.update(payload);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&sha.finalize()[..16]);
    u128::from_be_bytes(first)
}
