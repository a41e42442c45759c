//! What a record means to the folds.

use std::sync::Arc;

use pledger_domain::{program::Program, rules::RuleSet, stream::StreamName};
use pledger_ledger::outline::Outline;
use serde::Deserialize;

/// A record, decoded.
pub(super) enum Meaning<'a> {
    /// Nothing that folds know of: a term was opened, commands were passed.
    Nothing,
    /// A decision, and the rules that it names; none where it names version 0.
    Decision(Outline<'a>, Option<Arc<RuleSet>>),
    /// A decision under rules that were not seen yet.
    Ahead(Outline<'a>),
    /// It cannot be read.
    Poisoned {
        /// Its stream, where at least that can be read.
        stream: Option<StreamName>,
        /// Why.
        reason: String,
    },
}

/// Decodes a record's body.
pub(super) fn decode<'a>(body: &'a [u8], program: &Program) -> Meaning<'a> {
    match Outline::decode(body) {
        Ok(Some(decision)) => match decision.rules {
            0 => Meaning::Decision(decision, None),
            version => match program.version(version) {
                Some(rules) => Meaning::Decision(decision, Some(Arc::clone(rules))),
                None => Meaning::Ahead(decision),
            },
        },
        Ok(None) => Meaning::Nothing,
        Err(error) => Meaning::Poisoned { stream: stream_of(body), reason: error.to_string() },
    }
}

/// The stream of a decision whose other fields may make no sense.
pub(crate) fn stream_of(body: &[u8]) -> Option<StreamName> {
    #[derive(Deserialize)]
    struct Outer {
        decision: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        stream: StreamName,
    }
    serde_json::from_slice::<Outer>(body).ok().map(|outer| outer.decision.stream)
}
