//! Proof that an activity took place: what a claim has to come with.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::values::Label;

/// The longest address of a document, in characters.
pub const MAX_URI_LEN: usize = 2000;

/// The most documents of one claim.
pub const MAX_PROOFS: usize = 100;

/// A document that proves an activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Such as `invoice`, `photo`, `attendance`.
    pub kind: Label,
    /// Where it is kept: 1 to 2,000 printable characters.
    #[schema(value_type = String)]
    pub uri: ProofUri,
    /// The document's SHA-256: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sha256: Option<Sha256Hex>,
}

/// Why a text is no address or no digest of a proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// The address is empty, too long or holds a character that is not printable.
    #[error("the uri has {0} characters; 1 to {MAX_URI_LEN} printable ones are accepted")]
    Uri(usize),
    /// The digest is none.
    #[error("{0:?} is not a SHA-256 of 64 hexadecimal digits")]
    Digest(String),
    /// There are more documents than one claim takes.
    #[error("{0} proofs are given; at most {MAX_PROOFS} are accepted")]
    TooMany(usize),
}

/// Where a document is kept. Its scheme is the sender's matter: pledger never opens it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ProofUri(CompactString);

/// A SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Sha256Hex(CompactString);

impl ProofUri {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// `InvalidProof::Uri`.
    pub fn parse(text: &str) -> Result<Self, InvalidProof> {
        let len = text.chars().count();
        let printable = !text.trim().is_empty() && !text.chars().any(char::is_control);
        if printable && len <= MAX_URI_LEN { Ok(Self(text.into())) } else { Err(InvalidProof::Uri(len)) }
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Sha256Hex {
    /// Checks `text` and keeps it in lower case, so that equal digests are equal texts.
    ///
    /// # Errors
    /// `InvalidProof::Digest`.
    pub fn parse(text: &str) -> Result<Self, InvalidProof> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(InvalidProof::Digest(text.chars().take(80).collect()))
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProofUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProofUri {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&CompactString::deserialize(d)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&CompactString::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// Reads a claim's documents, at most `MAX_PROOFS`.
pub(super) fn bounded<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Proof>, D::Error> {
    let proofs = Vec::<Proof>::deserialize(d)?;
    if proofs.len() > MAX_PROOFS { Err(de::Error::custom(InvalidProof::TooMany(proofs.len()))) } else { Ok(proofs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let digest = "0123456789ABCDEF".repeat(4);
        assert_eq!(Sha256Hex::parse(&digest).expect("a digest").as_str(), "0123456789abcdef".repeat(4));
        for text in ["", "abc", &digest[1..], &format!("{digest}0"), &digest.replace('A', "g")] {
            assert_eq!(Sha256Hex::parse(text), Err(InvalidProof::Digest(text.to_owned())));
        }
    }

    #[test]
    fn addresses_are_printable_and_bounded() {
        assert_eq!(ProofUri::parse("s3://proofs/invoice-7.pdf").expect("a uri").to_string(), "s3://proofs/invoice-7.pdf");
        assert!(ProofUri::parse(&"x".repeat(2000)).is_ok());
        for (text, len) in [(String::new(), 0), ("  ".to_owned(), 2), ("a\nb".to_owned(), 3), ("x".repeat(2001), 2001)] {
            assert_eq!(ProofUri::parse(&text), Err(InvalidProof::Uri(len)));
        }
    }
}
