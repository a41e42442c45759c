//! Fields that name a person. They are sealed at the edge, before anything is written or hashed.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

use super::ids::PersonId;

/// The longest plain value, in bytes.
pub const MAX_PERSONAL_LEN: usize = 512;

/// A value that names a person: plain only between the socket and the edge, sealed everywhere else.
///
/// JSON: a plain value is a string (accepted, never written); a sealed one `{"sealed":"<envelope>"}`;
/// one whose key was destroyed before it came `{"erased":true}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Personal {
    /// As the sender gave it. Must not reach a record.
    Plain(String),
    /// The envelope that the key store made of it: `v1.<subject>.<base64url>`.
    Sealed(String),
    /// The subject was erased: there is nothing to seal it with, and nothing to read.
    Erased,
}

/// Is shown each personal field of a command with the subject it belongs to.
pub trait PersonalVisitor {
    /// Why a field cannot be sealed.
    type Error;
    /// One field beside its subject's id, which the sender may have left out.
    ///
    /// # Errors
    /// Where the field cannot be sealed.
    fn field(&mut self, name: &'static str, subject: &mut Option<PersonId>, value: &mut Option<Personal>) -> Result<(), Self::Error>;
}

impl Serialize for Personal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Plain(_) => return Err(serde::ser::Error::custom("a personal field must be sealed before it is written")),
            Self::Sealed(_) | Self::Erased => s.serialize_map(Some(1))?,
        };
        match self {
            Self::Plain(_) => {}
            Self::Sealed(text) => map.serialize_entry("sealed", text)?,
            Self::Erased => map.serialize_entry("erased", &true)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Personal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Personal;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Personal, E> {
                if text.trim().is_empty() || text.len() > MAX_PERSONAL_LEN {
                    return Err(E::custom(format_args!("a personal field has 1 to {MAX_PERSONAL_LEN} bytes")));
                }
                Ok(Personal::Plain(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Personal, A::Error> {
                let value = match map.next_key::<&str>()? {
                    Some("sealed") => Personal::Sealed(map.next_value()?),
                    Some("erased") => {
                        map.next_value::<bool>()?;
                        Personal::Erased
                    }
                    _ => return Err(de::Error::custom("expected a string")),
                };
                match map.next_key::<&str>()? {
                    None => Ok(value),
                    Some(_) => Err(de::Error::custom("expected a string")),
                }
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl utoipa::PartialSchema for Personal {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for Personal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_read_and_never_written() {
        let plain: Personal = serde_json::from_str(r#""Ada Lovelace""#).expect("plain");
        assert_eq!(plain, Personal::Plain("Ada Lovelace".into()));
        assert!(serde_json::to_string(&plain).is_err());
    }

    #[test]
    fn the_sealed_form_survives_the_record() {
        for personal in [Personal::Sealed("AAEC".into()), Personal::Erased] {
            let json = serde_json::to_string(&personal).expect("written");
            assert_eq!(serde_json::from_str::<Personal>(&json).expect("read"), personal);
        }
        assert!(serde_json::from_str::<Personal>(r#"{"sealed":"x","y":1}"#).is_err());
    }
}
