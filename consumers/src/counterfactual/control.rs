//! The rules as recorded, held against the record: whether a difference may be put down to a draft.

use std::cell::OnceCell;

use pledger_ledger::record::Decision;

use super::{
    history::Programs,
    otherwise::Told,
    world::{Again, Request, World},
};

/// Which decisions are decided again under the rules as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Those that a draft decides otherwise. What comes out as recorded under the draft tells no difference, so no fault could be
    /// taken for one. Without a draft, all of them.
    Differences,
    /// All of them: whether this pledger decides as the one did that wrote the ledger.
    Everything,
}

/// One command under the rules as recorded: decided when it is first asked for, and once for all drafts.
pub(super) struct Controlled<'a> {
    request: &'a Request<'a>,
    recorded: &'a World,
    programs: &'a Programs,
    /// Absent until it was asked for. What came out, where that is not what was recorded.
    found: OnceCell<Option<Told>>,
}

impl<'a> Controlled<'a> {
    /// Nothing is decided yet. `recorded` is the world as it was then.
    pub(super) const fn of(request: &'a Request<'a>, recorded: &'a World, programs: &'a Programs) -> Self {
        Self { request, recorded, programs, found: OnceCell::new() }
    }

    /// Whether it comes out as recorded.
    pub(super) fn repeats(&self) -> bool {
        let decide = || {
            let Request { decision, asked, recorded: was, .. } = self.request;
            let again = self.recorded.decide(&self.recorded.streams, asked, was, self.programs);
            (!repeats(decision, &again)).then(|| Told::of(&again.outcome))
        };
        self.found.get_or_init(decide).is_none()
    }

    /// Absent where nobody asked; else what came out, where that is not what was recorded.
    pub(super) fn found(self) -> Option<Option<Told>> {
        self.found.into_inner()
    }
}

/// Whether a decision came out as recorded: events or refusal, business time, version, and the version of the rules in
/// force.
fn repeats(decision: &Decision<'_>, again: &Again) -> bool {
    decision.outcome == again.outcome
        && decision.effective_at == again.effective_at
        && decision.version == again.version
        && decision.rules == again.in_force
}
