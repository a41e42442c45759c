//! Which recorded commands a draft may decide otherwise, known before any of them is.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    rules::RuleSet,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::record::Decision;

use super::{history::Programs, world::Draft};

/// A command that no changed clause decides, in a stream that is as it was, is decided as it was: it is taken in as
/// recorded. What it relies on has to be as it was, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Concern {
    /// By published version of the rules: the commands that are decided by a clause in which the draft differs from it.
    by_version: HashMap<u32, HashSet<&'static str>>,
    /// From when the draft governs.
    from: Option<Timestamp>,
    /// Partners that the draft decides otherwise about: whoever relies on them is concerned.
    partners: HashSet<StreamName>,
    /// The commands that may rely on one of these.
    relying: HashSet<&'static str>,
}

impl Concern {
    /// What `draft` changes in each version of the rules that was published.
    pub(super) fn of(draft: &Draft, programs: &Programs) -> Self {
        let commands = |published: &Arc<RuleSet>| {
            let changes = published.rules.changes_to(&draft.rules.rules);
            (published.version, named(|spec| changes.iter().any(|change| spec.is_decided_by(&change.clause))))
        };
        Self { by_version: programs.published().map(commands).collect(), from: draft.from, ..Self::default() }
    }

    /// Takes in which partners are others under the draft.
    pub(super) fn of_partners(&mut self, partners: impl Iterator<Item = StreamName>) {
        self.partners.extend(partners);
        if !self.partners.is_empty() {
            self.relying = named(|spec| spec.relies_on_a_partner);
        }
    }

    /// Whether any command in streams of this kind may be concerned.
    pub(super) fn reaches(&self, kind: StreamKind) -> bool {
        COMMANDS.iter().any(|spec| spec.stream == kind && self.may_be_with(spec.name))
    }

    /// Whether a command of this name may be concerned, whenever it was decided and whatever it relied on.
    pub(super) fn may_be_with(&self, name: &str) -> bool {
        self.relying.contains(name) || self.by_version.values().any(|commands| commands.contains(name))
    }

    /// Whether a decision is concerned, but for what became of its stream.
    pub(super) fn is_with(&self, decision: &Decision<'_>) -> bool {
        let name = &*decision.command.name;
        self.governs(name, decision.rules, decision.recorded_at.max(decision.effective_at))
            || (self.relying.contains(name) && self.relies_on_one(decision))
    }

    /// Rules are asked for as of the receipt, which is no later than the recording, or of the business time.
    fn governs(&self, name: &str, version: u32, latest: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= latest) && self.by_version.get(&version).is_some_and(|commands| commands.contains(name))
    }

    /// What names no partner may rely on any: its version was not recorded.
    fn relies_on_one(&self, decision: &Decision<'_>) -> bool {
        let mut partners = decision.relied_on.iter().filter(|(stream, _)| stream.kind() == StreamKind::Partner).peekable();
        partners.peek().is_none() || partners.any(|(partner, _)| self.partners.contains(partner))
    }
}

/// The commands of the catalogue of which something is true, by name.
fn named(is: impl Fn(&CommandSpec) -> bool) -> HashSet<&'static str> {
    COMMANDS.iter().filter(|spec| is(spec)).map(|spec| spec.name).collect()
}
