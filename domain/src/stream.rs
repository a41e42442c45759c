//! Streams: the boundaries within which decisions are consistent.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::values::{AccountKey, BudgetId, PartnerId, Timestamp};

/// What kind of thing a stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// `program`: rules.
    Program,
    /// `partner/<id>`: what other streams rely on about a partner.
    Partner,
    /// `account/<key>`: where partners compete.
    Account,
    /// `fund/<budget>`: market development funds.
    Fund,
    /// `cost/<partner>` or `cost/program`: program costs.
    Cost,
}

impl StreamKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Program, Self::Partner, Self::Account, Self::Fund, Self::Cost];

    /// The part of the stream's name before the slash.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Partner => "partner",
            Self::Account => "account",
            Self::Fund => "fund",
            Self::Cost => "cost",
        }
    }

    /// Whether decisions of other streams rely on this one, so that every writer follows it.
    #[must_use]
    pub const fn is_reference(self) -> bool {
        matches!(self, Self::Program | Self::Partner)
    }
}

/// The name of a stream, such as `account/acme.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StreamName(CompactString);

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a stream like \"program\", \"partner/p1\", \"account/acme.com\", \"fund/b1\" or \"cost/p1\"")]
pub struct InvalidStream(pub String);

impl StreamName {
    /// The stream of the program's rules.
    #[must_use]
    pub fn program() -> Self {
        Self(CompactString::const_new("program"))
    }

    /// A partner's stream.
    #[must_use]
    pub fn partner(id: &PartnerId) -> Self {
        Self(compact_str::format_compact!("partner/{id}"))
    }

    /// An account's stream.
    #[must_use]
    pub fn account(key: &AccountKey) -> Self {
        Self(compact_str::format_compact!("account/{key}"))
    }

    /// A fund's stream.
    #[must_use]
    pub fn fund(id: &BudgetId) -> Self {
        Self(compact_str::format_compact!("fund/{id}"))
    }

    /// The stream of a partner's costs, or of those of the program as a whole.
    #[must_use]
    pub fn cost(partner: Option<&PartnerId>) -> Self {
        match partner {
            Some(id) => Self(compact_str::format_compact!("cost/{id}")),
            None => Self(CompactString::const_new("cost/program")),
        }
    }

    /// Reads a stream's name.
    ///
    /// # Errors
    /// `InvalidStream`.
    pub fn parse(text: &str) -> Result<Self, InvalidStream> {
        let known = match split(text) {
            None => text == "program",
            Some(("partner" | "cost", id)) => PartnerId::parse(id).is_ok(),
            Some(("fund", id)) => BudgetId::parse(id).is_ok(),
            Some(("account", key)) => AccountKey::parse(key).is_ok(),
            Some(_) => false,
        };
        if known { Ok(Self(text.into())) } else { Err(InvalidStream(text.chars().take(200).collect())) }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the stream is about.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        match split(&self.0).map(|(kind, _)| kind) {
            Some("partner") => StreamKind::Partner,
            Some("account") => StreamKind::Account,
            Some("fund") => StreamKind::Fund,
            Some("cost") => StreamKind::Cost,
            _ => StreamKind::Program,
        }
    }

    /// What stands after the slash; empty for `program`.
    #[must_use]
    pub fn key(&self) -> &str {
        split(&self.0).map_or("", |(_, key)| key)
    }
}

/// A name before and after its first slash: the library's search is made for long texts, and every record names streams.
fn split(name: &str) -> Option<(&str, &str)> {
    let slash = name.bytes().position(|byte| byte == b'/')?;
    Some((&name[..slash], &name[slash + 1..]))
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for StreamName {
    /// Reads what a record holds: names were checked when they were made, so only the kind is looked at.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(d)?;
        let prefix = split(&text).map_or(text.as_str(), |(kind, _)| kind);
        if StreamKind::ALL.iter().any(|kind| kind.prefix() == prefix) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(InvalidStream(text.into())))
        }
    }
}

/// The state of one kind of stream: what its decisions are made from.
///
/// States hold no `Personal` value: what a person is called decides nothing.
pub trait Stream: Default + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Which kind.
    const KIND: StreamKind;
    /// What is recorded in such a stream.
    type Event: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Takes in an event of a decision that is effective at `at`. Never fails: what was recorded is true.
    fn evolve(&mut self, event: &Self::Event, at: Timestamp);
}
