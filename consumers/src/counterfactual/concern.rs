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
    /// All of these, whatever the version.
    ever: HashSet<&'static str>,
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
        let by_version: HashMap<_, _> = programs.published().map(commands).collect();
        let ever = by_version.values().flatten().copied().collect();
        Self { by_version, ever, from: draft.from, ..Self::default() }
    }

    /// Takes in that a partner is another under the draft.
    pub(super) fn take_partner(&mut self, partner: StreamName) {
        if self.relying.is_empty() {
            self.relying = named(|spec| spec.relies_on_a_partner);
        }
        self.partners.insert(partner);
    }

    /// Whether any command in streams of this kind may be concerned.
    pub(super) fn reaches(&self, kind: StreamKind) -> bool {
        COMMANDS.iter().any(|spec| spec.stream == kind && self.may_be_with(spec.name))
    }

    /// Whether a command of this name may be concerned, whenever it was decided and whatever it relied on.
    pub(super) fn may_be_with(&self, name: &str) -> bool {
        self.ever.contains(name) || self.relying.contains(name)
    }

    /// Whether a decision is concerned, but for what became of its stream.
    pub(super) fn is_with(&self, decision: &Decision<'_>) -> bool {
        let name = &*decision.command.name;
        self.governs(decision, name) || (self.relying.contains(name) && self.relies_on_one(decision))
    }

    /// Rules are asked for as of the receipt, and of history as of its business time, which is as recorded where nothing before is
    /// another.
    fn governs(&self, decision: &Decision<'_>, name: &str) -> bool {
        let rules_at = if decision.historical { decision.effective_at } else { decision.command.received_at };
        let governed = self.from.is_none_or(|from| from <= rules_at);
        governed && self.by_version.get(&decision.rules).is_some_and(|commands| commands.contains(name))
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
