//! Which account: the key within which two partners compete (F43).

use std::fmt;

use compact_str::CompactString;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    country::{InvalidCountry, country_code},
    folded::folded,
    ids::{DealId, Label, PartnerId},
};

/// Characters that would be ambiguous inside a stream's name or a URL segment.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'%').add(b'?').add(b'#').add(b'"').add(b'<').add(b'>').add(b',');

/// The same inside a part of a name key, where a colon ends the part.
const ESCAPED_PART: &AsciiSet = &ESCAPED.add(b':');
/// The same in a finished key, whose percent signs are escapes already.
const ESCAPED_KEY: &AsciiSet = &ESCAPED.remove(b'%');

/// The key of an account: `acme.com`, `duns:123456789`, `name:acme%20corporation:us` or `none:<partner>:<deal>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AccountKey(CompactString);

/// How much of the outside world a key speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStrength {
    /// From a domain or a DUNS number.
    Strong,
    /// From a name and, where given, a country: protects within itself only.
    Weak,
    /// An imported deal without an account: matches nothing, protects nothing.
    None,
}

/// Why an account cannot be told from its description or its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// The domain is not a host name.
    #[error("domain {0:?} is not a domain name like \"acme.com\"")]
    Domain(String),
    /// The DUNS number has not nine digits.
    #[error("duns {0:?} is not a nine-digit DUNS number")]
    Duns(String),
    /// The country is not two letters, or where something new comes in no assigned code.
    #[error("country {0}")]
    Country(InvalidCountry),
    /// The key is none that RegisterDeal answers.
    #[error("{0:?} is not an account key like \"acme.com\", \"duns:123456789\" or \"name:acme:us\"{name}", name = by_name(.0))]
    Key(String),
    /// The key is another spelling of one that RegisterDeal answers: the account would be two.
    #[error("{given:?} is not how this account's key is spelled, which is {key:?}")]
    Spelling {
        /// The key that was given.
        given: String,
        /// The same in normal form.
        key: String,
    },
    /// The name has nothing that can be seen.
    #[error("name {0:?} has nothing in it that can be seen")]
    Name(String),
}

/// An account as a partner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountDescription {
    /// The customer's name.
    pub name: Label,
    /// Its web domain: the strongest key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Its nine-digit DUNS number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duns: Option<String>,
    /// Its country, ISO 3166-1 alpha-2; kept in capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// An account in a payload: its description, or the key that RegisterDeal answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AccountRef {
    /// The key.
    #[schema(value_type = String)]
    Key(AccountKey),
    /// The description.
    Description(AccountDescription),
}

impl<'de> Deserialize<'de> for AccountRef {
    /// Not derived, so that what is wrong inside a description is named.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = AccountRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an account key like \"acme.com\", or an object with name, domain?, duns?, country?")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<AccountRef, E> {
                AccountKey::parse(text).map(AccountRef::Key).map_err(E::custom)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AccountRef, A::Error> {
                AccountDescription::deserialize(de::value::MapAccessDeserializer::new(map)).map(AccountRef::Description)
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl AccountKey {
    /// Reads a key that was made by `AccountDescription::key` or `AccountKey::none`.
    ///
    /// # Errors
    /// `InvalidAccount::Key`.
    pub fn parse(text: &str) -> Result<Self, InvalidAccount> {
        let invalid = || InvalidAccount::Key(text.chars().take(80).collect());
        let clean = !text.is_empty() && text.len() <= 1024 && utf8_percent_encode(text, ESCAPED_KEY).count() == 1;
        if !clean {
            return Err(invalid());
        }
        let known = match text.split_once(':') {
            Some(("duns", number)) => normal_duns(number).is_ok_and(|n| n == number),
            Some(("name" | "none", rest)) => !rest.is_empty(),
            Some(_) => false,
            None => normal_domain(text).is_ok_and(|domain| domain == text),
        };
        if known { Ok(Self(text.into())) } else { Err(invalid()) }
    }

    /// The key of an imported deal that names no account.
    #[must_use]
    pub fn none(partner: &PartnerId, deal: &DealId) -> Self {
        Self(compact_str::format_compact!("none:{partner}:{deal}"))
    }

    /// The key, as `AccountDescription::key` spells it.
    fn spelled(&self) -> Result<Self, InvalidAccount> {
        let invalid = || InvalidAccount::Key(self.0.chars().take(80).collect());
        let Some(rest) = self.0.strip_prefix("name:") else { return Ok(self.clone()) };
        let (name, country) = rest.split_once(':').map_or((rest, None), |(name, country)| (name, Some(country)));
        let name = percent_decode_str(name).decode_utf8().map_err(|_| invalid())?;
        let country = country.map(normal_country).transpose().map_err(|_| invalid())?;
        let key = name_key(&name, country.as_deref())?;
        if key == self.0 { Ok(self.clone()) } else { Err(InvalidAccount::Spelling { given: self.0.to_string(), key }) }
    }

    /// The key as it stands after `account/` in the stream's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How much the key speaks for.
    #[must_use]
    pub fn strength(&self) -> KeyStrength {
        match self.0.split_once(':').map(|(kind, _)| kind) {
            Some("name") => KeyStrength::Weak,
            Some("none") => KeyStrength::None,
            _ => KeyStrength::Strong,
        }
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&CompactString::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl AccountDescription {
    /// The account's key: its domain, else its DUNS number, else its name and country. The same description gives
    /// the same key for ever.
    ///
    /// # Errors
    /// Where the domain, the DUNS number or the country is not one.
    pub fn key(&self) -> Result<AccountKey, InvalidAccount> {
        let country = self.country.as_deref().map(normal_country).transpose()?;
        let domain = self.domain.as_deref().map(normal_domain).transpose()?;
        let duns = self.duns.as_deref().map(normal_duns).transpose()?;
        Ok(AccountKey(match (domain, duns) {
            (Some(domain), _) => domain.into(),
            (None, Some(duns)) => compact_str::format_compact!("duns:{duns}"),
            (None, None) => name_key(self.name.as_str(), country.as_deref())?.into(),
        }))
    }
}

impl AccountRef {
    /// Puts the country of a description in capitals, for what comes in anew.
    ///
    /// # Errors
    /// Where it is no assigned code.
    pub fn normalise(&mut self) -> Result<(), InvalidCountry> {
        if let Self::Description(AccountDescription { country: Some(country), .. }) = self {
            *country = country_code(country)?.to_owned();
        }
        Ok(())
    }

    /// The account's key.
    ///
    /// # Errors
    /// As `AccountDescription::key`.
    pub fn key(&self) -> Result<AccountKey, InvalidAccount> {
        match self {
            Self::Key(key) => Ok(key.clone()),
            Self::Description(description) => description.key(),
        }
    }

    /// The account's key, for what may be the first that is heard of it: another spelling would open a second account.
    ///
    /// # Errors
    /// As `key`, and `InvalidAccount::Spelling`.
    pub fn opening_key(&self) -> Result<AccountKey, InvalidAccount> {
        self.key()?.spelled()
    }
}

/// A domain in lower-case ASCII, without scheme, path, port, trailing dot or `www.`.
fn normal_domain(text: &str) -> Result<String, InvalidAccount> {
    let invalid = || InvalidAccount::Domain(text.chars().take(80).collect());
    let host = text.trim();
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let ascii = idna::domain_to_ascii(host.trim_end_matches('.')).map_err(|_| invalid())?;
    let host = ascii.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(&ascii);
    let label_ok = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let whole = host.contains('.') && host.len() <= 253 && host.split('.').all(label_ok);
    let numeric = host.split('.').all(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if whole && !numeric { Ok(host.to_owned()) } else { Err(invalid()) }
}

fn normal_duns(text: &str) -> Result<String, InvalidAccount> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if digits.len() == 9 && digits.bytes().all(|b| b.is_ascii_digit()) {
        Ok(digits)
    } else {
        Err(InvalidAccount::Duns(text.chars().take(80).collect()))
    }
}

/// A two-letter country code in lower case, assigned or not: keys that were made stay what they are.
fn normal_country(text: &str) -> Result<String, InvalidAccount> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(InvalidAccount::Country(InvalidCountry(text.chars().take(80).collect())))
    }
}

/// The key of an account that only this name is known of, to be shown beside a text that is none.
fn by_name(text: &str) -> String {
    let is_name = text.chars().any(char::is_alphanumeric) && !text.contains([':', '/']);
    match name_key(text, None) {
        Ok(key) if is_name => format!("; an account of this name alone is {key:?}"),
        Ok(_) | Err(_) => String::new(),
    }
}

/// Case-folded, white space folded, percent-encoded: never reduced to nothing.
fn name_key(name: &str, country: Option<&str>) -> Result<String, InvalidAccount> {
    let folded = folded(name);
    if folded.is_empty() {
        return Err(InvalidAccount::Name(name.chars().take(80).collect()));
    }
    let escaped = utf8_percent_encode(&folded, ESCAPED_PART);
    Ok(match country {
        Some(country) => format!("name:{escaped}:{country}"),
        None => format!("name:{escaped}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, domain: Option<&str>, duns: Option<&str>, country: Option<&str>) -> Result<String, InvalidAccount> {
        let own = |t: Option<&str>| t.map(str::to_owned);
        AccountDescription { name: Label::parse(name).expect("a name"), domain: own(domain), duns: own(duns), country: own(country) }
            .key()
            .map(|key| key.to_string())
    }

    #[test]
    fn the_key_comes_from_the_strongest_field() {
        for (name, domain, duns, country, key) in [
            ("Acme", Some("Acme.COM"), Some("123456789"), None, "acme.com"),
            ("Acme", Some("https://www.acme.com/about"), None, None, "acme.com"),
            ("Bücher", Some("bücher.example"), None, None, "xn--bcher-kva.example"),
            ("Acme", None, Some("12-345-6789"), Some("US"), "duns:123456789"),
            ("  Acme   Corporation ", None, None, Some("US"), "name:acme%20corporation:us"),
            ("東京 株式会社", None, None, None, "name:%E6%9D%B1%E4%BA%AC%20%E6%A0%AA%E5%BC%8F%E4%BC%9A%E7%A4%BE"),
            ("a/b:c", None, None, None, "name:a%2Fb%3Ac"),
        ] {
            let made = described(name, domain, duns, country).expect(name);
            assert_eq!(made, key);
            assert_eq!(AccountKey::parse(&made).expect("a key reads back").as_str(), key);
        }
    }

    #[test]
    fn an_account_has_one_key_however_its_name_is_written() {
        for (one, other) in [("Straße AG", "STRASSE AG"), ("Zero Corp", "Zero\u{200b} Corp"), ("CAFÉ x", "Cafe\u{301} X")] {
            assert_eq!(described(one, None, None, Some("DE")), described(other, None, None, Some("de")), "{one:?} {other:?}");
        }
        let invisible = described("\u{200b}", None, None, None);
        assert_eq!(invisible, Err(InvalidAccount::Name("\u{200b}".into())));
    }

    #[test]
    fn another_spelling_of_a_key_opens_no_second_account() {
        let key = |text: &str| AccountRef::Key(AccountKey::parse(text).expect("clean")).opening_key().map(|key| key.to_string());
        for given in ["name:GLOBEX:us", "name:globex:US", "name:%67lobex:us", "name:globex%20:us", "name:glo%E2%80%8Bbex:us"] {
            let told = key(given).expect_err(given);
            assert_eq!(told, InvalidAccount::Spelling { given: given.into(), key: "name:globex:us".into() });
            assert!(told.to_string().contains("\"name:globex:us\""), "{told}");
            // What is there already goes by the key that it has.
            assert_eq!(AccountRef::Key(AccountKey::parse(given).expect("clean")).key().map(|key| key.to_string()), Ok(given.to_owned()));
        }
        assert!(matches!(key("name:caf%c3%a9"), Err(InvalidAccount::Spelling { key, .. }) if key == "name:caf%C3%A9"));
        for given in ["name:globex:us:", "name:globex:usa", "name:%ff", "name:%20"] {
            assert!(key(given).is_err(), "{given}");
        }
        for given in ["name:globex:us", "name:a%2Fb%3Ac", "none:p1:d1", "acme.com", "duns:123456789"] {
            assert_eq!(key(given), Ok(given.to_owned()));
        }
    }

    #[test]
    fn what_names_no_account_is_refused() {
        for domain in ["localhost", "10.0.0.1", "-a.com", "a..com", "acme .com", ""] {
            assert!(described("Acme", Some(domain), None, None).is_err(), "{domain:?}");
        }
        assert!(described("Acme", None, Some("12"), None).is_err());
        assert!(described("Acme", None, None, Some("USA")).is_err());
        for key in ["", "Acme.com", "www.acme.com", "acme", "duns:1", "name:", "x:y", "acme.com/x", "name:a b"] {
            assert!(AccountKey::parse(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn only_domains_and_numbers_are_strong() {
        let strength = |key: &str| AccountKey::parse(key).expect(key).strength();
        assert_eq!(strength("acme.com"), KeyStrength::Strong);
        assert_eq!(strength("duns:123456789"), KeyStrength::Strong);
        assert_eq!(strength("name:acme"), KeyStrength::Weak);
        assert_eq!(strength("none:p1:d1"), KeyStrength::None);
    }
}
