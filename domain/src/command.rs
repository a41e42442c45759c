//! What every command is: a payload, where it goes, and how it is decided.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    facts::Facts,
    rejection::Rejection,
    stream::{Stream, StreamName},
    values::{AllocationId, ClaimId, DealId, InvalidAccount, InvalidCountry, PartnerId, PersonalVisitor, RequestId, Timestamp},
};

/// Where a command goes: a pure function of its payload, or an id to look up in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// To this stream.
    Stream(StreamName),
    /// To the account in which this deal was registered.
    Deal(DealId),
    /// To the fund that this allocation is part of.
    Allocation(AllocationId),
    /// To the fund in which this request was made.
    Request(RequestId),
    /// To the fund in which this claim was made.
    Claim(ClaimId),
}

/// Who may send a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Anyone who may use the API.
    Anyone,
    /// Only pledger's own policies and deadlines.
    System,
}

/// A command's payload and its rule.
pub trait CommandPayload: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + utoipa::ToSchema {
    /// The command's name: imperative, as in the URL.
    const NAME: &'static str;
    /// What it does, in one sentence.
    const SUMMARY: &'static str;
    /// A payload that works, as JSON.
    const EXAMPLE: &'static str;
    /// Who may send it.
    const ORIGIN: Origin = Origin::Anyone;
    /// The clauses of the rules that `decide` reads, as `RuleChange` names them, or sections of these: under rules that differ
    /// in others only, it decides the same.
    const DECIDED_BY: &'static [&'static str] = &[];
    /// Whether `relies_on` ever names a partner.
    const RELIES_ON_A_PARTNER: bool = false;
    /// The kind of stream it is decided in.
    type Stream: Stream;

    /// Where it goes.
    ///
    /// # Errors
    /// Where the payload's account is none.
    fn address(&self) -> Result<Address, InvalidAccount>;

    /// Puts what comes in anew in its usual form: a country's code in capitals. What is recorded stays as it is.
    ///
    /// # Errors
    /// Where the country is none.
    fn normalise(&mut self) -> Result<(), InvalidCountry> {
        Ok(())
    }

    /// The id that it makes known where it is accepted: later commands may name that and leave this one's stream out.
    fn introduces(&self) -> Option<Address> {
        None
    }

    /// The payload's own business date (`closed_at` and the like), which wins over the command's.
    fn business_time(&self) -> Option<Timestamp> {
        None
    }

    /// The partner whose facts the decision needs: of a command that `RELIES_ON_A_PARTNER`.
    fn relies_on(&self, _state: &Self::Stream) -> Option<PartnerId> {
        None
    }

    /// When the entity that this builds on came to be: the decision is effective no earlier.
    fn builds_on(&self, _state: &Self::Stream) -> Option<Timestamp> {
        None
    }

    /// Shows every `Personal` field to `visitor`, each with its subject.
    ///
    /// # Errors
    /// The visitor's.
    fn visit_personal<V: PersonalVisitor>(&mut self, _visitor: &mut V) -> Result<(), V::Error> {
        Ok(())
    }

    /// Decides: what happened, or why not. Pure.
    ///
    /// # Errors
    /// The named rejection.
    fn decide(&self, state: &Self::Stream, facts: &Facts) -> Result<Vec<<Self::Stream as Stream>::Event>, Rejection>;
}
