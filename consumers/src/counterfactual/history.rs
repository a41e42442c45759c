//! The reference facts at every version: what a decision that names a version in `relied_on` saw.

use std::sync::Arc;

use hashbrown::HashMap;
use pledger_domain::{
    partner::Partner,
    program::Program,
    rules::RuleSet,
    stream::StreamName,
    values::{PartnerId, Timestamp},
};

/// The program as it was at each version of its stream, from 0.
#[derive(Clone)]
pub(super) struct Programs(Vec<Program>);

impl Default for Programs {
    fn default() -> Self {
        Self(vec![Program::default()])
    }
}

impl Programs {
    /// Takes the next version in.
    pub(super) fn push(&mut self, program: Program) {
        self.0.push(program);
    }

    /// The rules in force at `at`, as far as `version` of the stream knew.
    pub(super) fn in_force_at(&self, version: u64, at: Timestamp) -> Option<&Arc<RuleSet>> {
        self.0.get(usize::try_from(version).ok()?)?.in_force_at(at)
    }

    /// The latest version of the stream.
    pub(super) fn latest(&self) -> u64 {
        self.0.len() as u64 - 1
    }

    /// Every version that was published.
    pub(super) fn published(&self) -> impl Iterator<Item = &Arc<RuleSet>> {
        self.0.last().into_iter().flat_map(Program::versions)
    }

    /// The rules published as `version`.
    pub(super) fn rules(&self, version: u32) -> Option<&Arc<RuleSet>> {
        self.0.last()?.version(version)
    }
}

/// A partner from one decision on.
#[derive(Clone)]
struct Since {
    version: u64,
    at: Timestamp,
    partner: Arc<Partner>,
}

/// Every partner at every version of its stream. It is what grows with a ledger's partner streams; everything else is
/// held for some slices at a time.
#[derive(Clone, Default)]
pub(super) struct Partners(HashMap<PartnerId, Vec<Since>>);

impl Partners {
    /// Notes what a partner is from a decision on: `version` is the recorded stream's, `at` when that was recorded.
    pub(super) fn note(&mut self, stream: &StreamName, version: u64, at: Timestamp, partner: &Partner) {
        let Ok(id) = PartnerId::parse(stream.key()) else { return };
        let known = self.0.entry(id).or_default();
        let last = known.last();
        if last.is_some_and(|last| last.version == version && *last.partner == *partner) {
            return;
        }
        let same = last.filter(|last| *last.partner == *partner).map(|last| Arc::clone(&last.partner));
        known.push(Since { version, at, partner: same.unwrap_or_else(|| Arc::new(partner.clone())) });
    }

    /// The partner as a decision recorded at `at` saw it, which names this version of it. Under a draft it may have become
    /// another without a version: what came of that by `at` counts.
    pub(super) fn at_version(&self, id: &PartnerId, version: u64, at: Timestamp) -> Option<Arc<Partner>> {
        let known = self.0.get(id)?;
        let first = known.partition_point(|since| since.version < version);
        let of_version = known[first..].iter().take_while(|since| since.version == version);
        let named = of_version.enumerate().filter(|(place, since)| since.at <= at || (*place == 0 && version > 0));
        named.last().map(|(_, since)| Arc::clone(&since.partner))
    }

    /// The partner as of what was recorded by `at`: for a decision that does not name the version it saw.
    pub(super) fn known_at(&self, id: &PartnerId, at: Timestamp) -> Option<Arc<Partner>> {
        let known = self.0.get(id)?;
        known.iter().take_while(|since| since.at <= at).last().map(|since| Arc::clone(&since.partner))
    }
}
