//! Why input is refused before it becomes a command. Nothing of this is recorded.

use pledger_domain::{
    catalogue::{Command, InvalidPayload},
    values::{InvalidAccount, InvalidCountry, InvalidText},
};

use crate::{
    directory::{IdKind, LookUp},
    keys::KeyStoreError,
    slices::Position,
};

use super::{MAX_KEY_LEN, MAX_PAYLOAD_LEN, MAX_SENDER_LEN, senders::ReservedSender};

/// Why the edge takes no command from what came in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The command or its payload is not of the catalogue.
    #[error(transparent)]
    InvalidPayload(#[from] InvalidPayload),
    /// The payload is longer than any command's may be.
    #[error("the payload has {len} bytes; at most {MAX_PAYLOAD_LEN} are allowed")]
    PayloadTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The account in the payload is none.
    #[error(transparent)]
    InvalidAccount(#[from] InvalidAccount),
    /// No stream is known under the id that the payload names.
    #[error("there is no {kind} {id}; name its {} where it was registered elsewhere", .kind.stream_field())]
    UnknownId {
        /// What is looked for.
        kind: IdKind,
        /// Its id.
        id: String,
    },
    /// The id is known in several streams.
    #[error("the {kind} {id} is known in several places; name its {}: {}", .kind.stream_field(), .candidates.join(", "))]
    AmbiguousId {
        /// What is looked for.
        kind: IdKind,
        /// Its id.
        id: String,
        /// The account keys or budget ids to choose from, sorted; at most `MAX_CANDIDATES`.
        candidates: Vec<String>,
    },
    /// Only pledger's own policies and deadlines send this command.
    #[error("{name} is sent by pledger itself only")]
    SystemOnly {
        /// The command.
        name: &'static str,
    },
    /// A field that names a person came sealed or erased.
    #[error("{field}: a plain string is expected; only pledger seals personal fields")]
    SealedFromOutside {
        /// The field, as its payload calls it.
        field: &'static str,
    },
    /// The idempotency key is empty, too long or not printable.
    #[error("an idempotency key has 1 to {MAX_KEY_LEN} printable characters")]
    InvalidKey,
    /// The sender is empty, too long or not printable: a CloudEvent's source.
    #[error("a sender has 1 to {MAX_SENDER_LEN} printable characters")]
    InvalidSender,
    /// The sender is a name that pledger itself sends as: a CloudEvent's source.
    #[error(transparent)]
    ReservedSender(#[from] ReservedSender),
    /// The actor is not an id.
    #[error("actor {0}")]
    InvalidActor(InvalidText),
    /// Only positions in reference slices can be waited for.
    #[error("after: {0} is not a position in a reference slice")]
    InvalidAfter(Position),
    /// The key store cannot be read or written: try again later.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
}

impl Refused {
    /// The stable code: the name of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidPayload(InvalidPayload::UnknownCommand { .. }) => "UnknownCommand",
            Self::InvalidPayload(InvalidPayload::Malformed(_)) => "MalformedPayload",
            Self::InvalidPayload(InvalidPayload::Field { .. }) => "InvalidPayload",
            Self::PayloadTooLong { .. } => "PayloadTooLong",
            Self::InvalidAccount(_) => "InvalidAccount",
            Self::UnknownId { .. } => "UnknownId",
            Self::AmbiguousId { .. } => "AmbiguousId",
            Self::SystemOnly { .. } => "SystemOnly",
            Self::SealedFromOutside { .. } => "SealedFromOutside",
            Self::InvalidKey => "InvalidIdempotencyKey",
            Self::InvalidSender => "InvalidSender",
            Self::ReservedSender(_) => "ReservedSender",
            Self::InvalidActor(_) => "InvalidActor",
            Self::InvalidAfter(_) => "InvalidAfter",
            Self::KeyStore(_) => "KeyStoreUnavailable",
        }
    }

    /// The path of the offending field of the payload, where it is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidPayload(InvalidPayload::Field { field, .. }) => Some(field).filter(|f| !f.is_empty()).map(String::as_str),
            Self::InvalidAccount(InvalidAccount::Domain(_)) => Some("account.domain"),
            Self::InvalidAccount(InvalidAccount::Duns(_)) => Some("account.duns"),
            Self::InvalidAccount(InvalidAccount::Country(_)) => Some("account.country"),
            Self::InvalidAccount(InvalidAccount::Key(_) | InvalidAccount::Spelling { .. }) => Some("account"),
            Self::InvalidAccount(InvalidAccount::Name(_)) => Some("account.name"),
            Self::UnknownId { kind, .. } => Some(kind.id_field()),
            Self::AmbiguousId { kind, .. } => Some(kind.stream_field()),
            Self::SealedFromOutside { field } => Some(field),
            Self::InvalidPayload(InvalidPayload::UnknownCommand { .. } | InvalidPayload::Malformed(_))
            | Self::PayloadTooLong { .. }
            | Self::SystemOnly { .. }
            | Self::InvalidKey
            | Self::InvalidSender
            | Self::ReservedSender(_)
            | Self::InvalidActor(_)
            | Self::InvalidAfter(_)
            | Self::KeyStore(_) => None,
        }
    }

    /// Whether the same input may be taken later: an id that is not known yet, a store that is away.
    #[must_use]
    pub const fn may_pass_later(&self) -> bool {
        match self {
            Self::UnknownId { .. } | Self::KeyStore(_) => true,
            Self::InvalidPayload(_)
            | Self::PayloadTooLong { .. }
            | Self::InvalidAccount(_)
            | Self::AmbiguousId { .. }
            | Self::SystemOnly { .. }
            | Self::SealedFromOutside { .. }
            | Self::InvalidKey
            | Self::InvalidSender
            | Self::ReservedSender(_)
            | Self::InvalidActor(_)
            | Self::InvalidAfter(_) => false,
        }
    }

    /// The refusal of a country: that of the account where the command is one of an account's.
    pub(super) fn country(command: &Command, invalid: InvalidCountry) -> Self {
        match command {
            Command::Account(_) => Self::InvalidAccount(InvalidAccount::Country(invalid)),
            Command::Program(_) | Command::Partner(_) | Command::Fund(_) | Command::Cost(_) => {
                Self::InvalidPayload(InvalidPayload::Field { field: "country".to_owned(), reason: invalid.to_string() })
            }
        }
    }

    /// The refusal of an id that the directory cannot resolve.
    pub(super) fn unresolved(look_up: LookUp<'_>, candidates: Vec<String>) -> Self {
        let (kind, id) = (look_up.kind, look_up.id.to_owned());
        if candidates.is_empty() { Self::UnknownId { kind, id } } else { Self::AmbiguousId { kind, id, candidates } }
    }
}
