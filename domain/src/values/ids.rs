//! Identifiers: the caller's own strings, checked once and trusted afterwards.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest identifier, in bytes (every allowed character is one byte).
pub const MAX_ID_LEN: usize = 128;

/// Why a string is not an identifier, a label or a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// The string is empty, or blank.
    #[error("must not be empty")]
    Empty,
    /// The string is longer than its type allows.
    #[error("is {len} long; at most {max} are allowed")]
    TooLong {
        /// What was given, in characters.
        len: usize,
        /// What is allowed, in characters.
        max: usize,
    },
    /// A character is outside the type's alphabet.
    #[error("has the character {0:?}; allowed are {1}")]
    Character(char, &'static str),
}

fn check_id(text: &str) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > MAX_ID_LEN {
        return Err(InvalidText::TooLong { len: text.chars().count(), max: MAX_ID_LEN });
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    // Up to the first byte that is not allowed, every character is one byte.
    match text.bytes().position(|byte| !is_allowed(byte)).and_then(|at| text.chars().nth(at)) {
        Some(c) => Err(InvalidText::Character(c, "A-Z a-z 0-9 . _ : -")),
        None => Ok(()),
    }
}

fn check_text(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Empty);
    }
    let len = text.chars().count();
    if len > max {
        return Err(InvalidText::TooLong { len, max });
    }
    match text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
        Some(c) => Err(InvalidText::Character(c, "printable characters")),
        None => Ok(()),
    }
}

macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(CompactString);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// What is wrong with it, where it is not of this type.
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> Result<(), InvalidText> = $check;
                check(text)?;
                Ok(Self(CompactString::new(text)))
            }

            /// The string as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                d.deserialize_str(Visitor)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                String::schema()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(checked_string!($(#[$doc])* $name, check_id);)*
    };
}

ids! {
    /// A partner, as the vendor names it.
    PartnerId,
    /// A deal; unique within its account.
    DealId,
    /// A person: pseudonymous, the subject of `Personal` fields.
    PersonId,
    /// A partner manager or another member of the vendor's staff.
    StaffId,
    /// A certification, such as `cloud-architect`.
    CertificationId,
    /// A course, such as `101`.
    CourseId,
    /// One completion of a course, as the learning system names it.
    CompletionId,
    /// A touchpoint: one act of a partner or a channel on an account.
    TouchpointId,
    /// A campaign that touchpoints and fund requests belong to.
    CampaignId,
    /// One recognition of revenue.
    RevenueId,
    /// One program cost.
    CostId,
    /// A payout of incentives.
    PayoutId,
    /// A fund's budget; names the stream `fund/<budget_id>`.
    BudgetId,
    /// A share of a budget set aside for one partner.
    AllocationId,
    /// A request to spend allocated funds on an activity.
    RequestId,
    /// A claim for money spent under an approved request.
    ClaimId,
    /// A dispute over a deal.
    DisputeId,
    /// A claim of the vendor's direct sellers on an account.
    DirectClaimId,
    /// A tier of the program, such as `gold`.
    TierName,
}

checked_string!(
    /// A short name for people to read: 1 to 200 printable characters.
    Label,
    |text| check_text(text, 200)
);
checked_string!(
    /// A note: 1 to 4,000 printable characters.
    Text,
    |text| check_text(text, 4000)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_their_alphabet() {
        for (text, expected) in [
            ("p-1", Ok(())),
            ("A.b_c:D-9", Ok(())),
            ("", Err(InvalidText::Empty)),
            ("a b", Err(InvalidText::Character(' ', "A-Z a-z 0-9 . _ : -"))),
            ("a/b", Err(InvalidText::Character('/', "A-Z a-z 0-9 . _ : -"))),
            ("é", Err(InvalidText::Character('é', "A-Z a-z 0-9 . _ : -"))),
        ] {
            assert_eq!(PartnerId::parse(text).map(|_| ()), expected, "{text:?}");
        }
        let long = "x".repeat(129);
        assert_eq!(DealId::parse(&long), Err(InvalidText::TooLong { len: 129, max: 128 }));
    }

    #[test]
    fn labels_refuse_control_characters() {
        assert_eq!(Label::parse("GTX Plus Basic").expect("a label").as_str(), "GTX Plus Basic");
        assert_eq!(Label::parse("  "), Err(InvalidText::Empty));
        assert!(Label::parse("a\u{0}b").is_err());
    }
}
