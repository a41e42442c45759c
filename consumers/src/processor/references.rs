//! The reference facts: what decisions rely on of other streams, followed through acknowledged records only.

use std::sync::Arc;

use hashbrown::HashMap;
use pledger_domain::{
    partner::Partner,
    program::Program,
    rules::RuleSet,
    stream::{Stream, StreamName},
    values::{PartnerId, Timestamp},
};
use pledger_ledger::{
    record::Events,
    slices::{Position, SliceId, Slices},
};
use serde::Serialize;

/// The program and the partners, as the reference slices tell.
pub(crate) struct References {
    program: Program,
    program_version: u64,
    partners: HashMap<PartnerId, (u64, Arc<Partner>)>,
    /// The next sequence of every reference slice.
    next_pseqs: Vec<u64>,
}

impl References {
    pub(crate) fn new(slices: Slices) -> Self {
        Self {
            program: Program::default(),
            program_version: 0,
            partners: HashMap::new(),
            next_pseqs: vec![0; usize::from(slices.reference)],
        }
    }

    /// Moves past an acknowledged record of a reference slice.
    pub(crate) fn advance(&mut self, position: Position) {
        if let Some(next) = self.next_pseqs.get_mut(usize::from(position.slice)) {
            *next = position.pseq + 1;
        }
    }

    /// Takes in an acknowledged decision of a reference stream.
    pub(crate) fn apply(&mut self, stream: &StreamName, version: u64, events: &Events<'_>, at: Timestamp) {
        match events {
            Events::Program(events) => {
                events.iter().for_each(|event| self.program.evolve(event, at));
                self.program_version = version;
            }
            Events::Partner(events) => {
                let Ok(id) = PartnerId::parse(stream.key()) else { return };
                let (known, partner) = self.partners.entry(id).or_default();
                let partner = Arc::make_mut(partner);
                events.iter().for_each(|event| partner.evolve(event, at));
                *known = version;
            }
            Events::Account(_) | Events::Fund(_) | Events::Cost(_) => {}
        }
    }

    /// Whether these positions were seen.
    pub(crate) fn has_seen(&self, after: &[Position]) -> bool {
        after.iter().all(|position| self.next_pseqs.get(usize::from(position.slice)).is_none_or(|next| position.pseq < *next))
    }

    /// The highest position seen of every reference slice that has one.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let seen = self.next_pseqs.iter().enumerate().filter(|(_, next)| **next > 0);
        seen.map(|(slice, next)| Position { slice: SliceId::try_from(slice).unwrap_or(SliceId::MAX), pseq: next - 1 }).collect()
    }

    /// The rules in force at `at`.
    pub(crate) fn rules_at(&self, at: Timestamp) -> Option<Arc<RuleSet>> {
        self.program.in_force_at(at).map(Arc::clone)
    }

    /// The program's stream and its version.
    pub(crate) fn program(&self) -> (StreamName, u64) {
        (StreamName::program(), self.program_version)
    }

    /// A partner's stream with its version, and its state where it is known.
    pub(crate) fn partner(&self, id: &PartnerId) -> ((StreamName, u64), Option<Arc<Partner>>) {
        let known = self.partners.get(id);
        let version = known.map_or(0, |(version, _)| *version);
        ((StreamName::partner(id), version), known.map(|(_, partner)| Arc::clone(partner)))
    }

    /// Everything, the partners sorted.
    pub(crate) fn sorted(&self) -> impl Serialize + use<'_> {
        let mut partners: Vec<_> = self.partners.iter().map(|(id, (version, partner))| (id, *version, &**partner)).collect();
        partners.sort_by_key(|(id, _, _)| *id);
        (&self.program, self.program_version, partners, self.next_pseqs.as_slice())
    }

    /// Takes the program over from a snapshot.
    pub(crate) fn put_program(&mut self, version: u64, program: &Program) {
        self.program = program.clone();
        self.program_version = version;
    }

    /// Takes a partner over from a snapshot.
    pub(crate) fn put_partner(&mut self, stream: &StreamName, version: u64, partner: &Partner) {
        if let Ok(id) = PartnerId::parse(stream.key()) {
            self.partners.insert(id, (version, Arc::new(partner.clone())));
        }
    }
}
