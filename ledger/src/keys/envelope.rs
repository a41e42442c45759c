//! The sealed form of a personal value: `v1.<subject>.<base64url of the AES-256-SIV output, unpadded>`.
//!
//! The text names its subject, so that a reader finds the key with nothing but the text; a subject id has no secret in it.
//! Bound as associated data are the version and the subject: a value sealed for one person cannot be passed off as
//! another's. The field is not bound: an event may carry a command's value under another field name, and a reader
//! of a read model need not know where it came from. The price: one person's equal values in two fields look equal.
//! SIV needs no nonce and survives equal inputs; the same value sealed twice gives the same bytes, which retries, input
//! hashes and digests rely on. Whoever may have values sealed for a subject *and* may read sealed forms could
//! therefore test a guess; nobody else can, since the key is random.

use aes_siv::{KeyInit, siv::Aes256Siv};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use pledger_domain::values::PersonId;
use zeroize::Zeroize;

/// The first part of every envelope. Old envelopes are for ever: a later form gets a new version.
const VERSION: &str = "v1";

/// The key of one subject: 256 bits for the MAC, 256 for the cipher.
#[derive(Clone)]
pub(super) struct SubjectKey(pub(super) [u8; Self::LEN]);

impl SubjectKey {
    pub(super) const LEN: usize = 64;

    /// A key read from where it is kept; none where it has another length. What it was read into is wiped.
    pub(super) fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let key = bytes.as_slice().try_into().ok().map(Self);
        bytes.zeroize();
        key
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(&self.0.into())
    }
}

impl Drop for SubjectKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Seals a value.
pub(super) fn seal(key: &SubjectKey, subject: &PersonId, plain: &str) -> String {
    let bound = [VERSION.as_bytes(), subject.as_str().as_bytes()];
    let sealed = key.cipher().encrypt(bound, plain.as_bytes()).expect("two headers are fewer than the 126 allowed");
    format!("{VERSION}.{subject}.{}", BASE64_URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens the bytes of an envelope of this subject; none where they were not sealed with this key for this subject.
pub(super) fn open(key: &SubjectKey, envelope: &Envelope) -> Option<String> {
    let bound = [VERSION.as_bytes(), envelope.subject.as_str().as_bytes()];
    String::from_utf8(key.cipher().decrypt(bound, &envelope.sealed).ok()?).ok()
}

/// An envelope taken apart.
pub(super) struct Envelope {
    /// Whose value it is.
    pub(super) subject: PersonId,
    sealed: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope; none where the text is not one of a known version.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A subject may have dots in it; base64url has none.
        let (subject, sealed) = text.strip_prefix(VERSION)?.strip_prefix('.')?.rsplit_once('.')?;
        Some(Self { subject: PersonId::parse(subject).ok()?, sealed: BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()? })
    }
}

/// Whose a sealed value is; none where the text is not a sealed value.
#[must_use]
pub fn subject_of(sealed: &str) -> Option<PersonId> {
    Envelope::parse(sealed).map(|envelope| envelope.subject)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(fill: u8) -> SubjectKey {
        SubjectKey([fill; SubjectKey::LEN])
    }

    fn person(id: &str) -> PersonId {
        PersonId::parse(id).expect("an id")
    }

    fn reopened(key: &SubjectKey, text: &str) -> Option<String> {
        Envelope::parse(text).and_then(|envelope| open(key, &envelope))
    }

    #[test]
    fn this_form_is_for_ever() {
        let sealed = seal(&key(7), &person("u.1:a"), "Ada Lovelace");
        assert_eq!(sealed, "v1.u.1:a.nAVJsEGFnzjXaazFAgZEXvLhOT7MseUNezV7tA");
        assert_eq!(reopened(&key(7), &sealed).as_deref(), Some("Ada Lovelace"));
        assert_eq!(subject_of(&sealed), Some(person("u.1:a")));
    }

    #[test]
    fn what_is_no_envelope_has_no_subject() {
        for text in ["", "v1", "v1.", "v1.u", "v2.u.AAAA", "v1..AAAA", "v1.u.A", "v1.u.A=A", "v1.a b.AAAA", "v1u.AAAA"] {
            assert_eq!(subject_of(text), None, "{text:?}");
        }
        assert_eq!(reopened(&key(7), "v1.u.AAAA"), None, "shorter than a tag");
    }

    proptest! {
        #[test]
        fn sealing_is_deterministic_and_opens_back(fill: u8, id in "[a-zA-Z0-9._:-]{1,40}", plain in "\\PC{0,80}") {
            let sealed = seal(&key(fill), &person(&id), &plain);
            prop_assert_eq!(&sealed, &seal(&key(fill), &person(&id), &plain));
            prop_assert_eq!(reopened(&key(fill), &sealed), Some(plain));
            prop_assert_eq!(reopened(&key(fill.wrapping_add(1)), &sealed), None);
        }

        #[test]
        fn a_value_is_bound_to_its_subject_and_its_bytes(at in 0_usize..60, plain in "[a-z]{1,30}") {
            let sealed = seal(&key(1), &person("ada"), &plain);
            let moved = sealed.replacen("ada", "bob", 1);
            prop_assert_eq!(reopened(&key(1), &moved), None);
            let mut altered = sealed.clone().into_bytes();
            let at = 7 + at % (altered.len() - 8);
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(reopened(&key(1), &String::from_utf8(altered).expect("ascii")), None);
        }
    }
}
