//! A shard: the rows of some slices, folded by one worker.

use std::sync::Arc;

use pledger_domain::rules::RuleSet;
use pledger_ledger::{
    chain::ChainHead,
    outline::Outline,
    slices::{Position, SliceId},
};

use crate::{
    accounts::Accounts,
    attribution::Attribution,
    conflicts::Conflicts,
    deals::Deals,
    mdf::Funds,
    parked::Parked,
    partners::Partners,
    revenue::Revenue,
    ropi::Costs,
    rules::PublishedRules,
    symbol::Symbol,
    table::{AnyTable, Stand},
};

/// Where a decision stands, as its fold may know.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Its place in the ledger.
    pub position: Position,
    /// What stands after the slash in its stream's name: the partner, the account key, the budget.
    pub key: Symbol,
    /// The rules that it is folded under: those that it names, or those that are supposed to govern in their place. None where it
    /// names version 0.
    pub rules: Option<&'a Arc<RuleSet>>,
    /// The version of the rules that it names: those that decided.
    pub named: u32,
}

impl<'a> At<'a> {
    /// Where a decision stands, folded under these rules.
    #[must_use]
    pub fn of(decision: &Outline<'_>, position: Position, rules: Option<&'a Arc<RuleSet>>) -> Self {
        Self { position, key: Symbol::of(decision.stream.key()), rules, named: decision.rules }
    }

    /// Where a record stands that cannot be taken in.
    #[must_use]
    pub fn left_out(position: Position) -> Self {
        Self { position, key: Symbol::empty(), rules: None, named: 0 }
    }

    /// What a row changed here stands on.
    #[must_use]
    pub const fn stand(&self) -> Stand {
        Stand { position: self.position, rules: self.named }
    }
}

/// The fold of a read model: its rows in one shard are its state.
///
/// A fold is pure: it knows the decisions of each stream in their order and the times in them, and no clock, no other
/// stream and no order between streams. It never fails: what was recorded is true, and what makes no sense is left out.
pub trait Fold: Default + Send + Sync + 'static {
    /// Takes in a decision, accepted or refused. `deals` has taken it in already.
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, deals: &Deals);
    /// How much of what is derived from its rows is put off: it has to be settled before a question is answered.
    fn unsettled(&self) -> usize {
        0
    }
    /// Settles at most so much of it.
    fn settle(&mut self, _deals: &Deals, _at_most: usize) {}
    /// Its rows were loaded: what is derived from them and not stored is made again.
    fn loaded(&mut self, _deals: &Deals) {}
    /// Its tables.
    fn tables(&self) -> Vec<&dyn AnyTable>;
    /// Its tables, to load and to write them.
    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable>;
}

macro_rules! read_models {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        /// The rows of the slices that one worker owns.
        #[derive(Default)]
        pub struct Shard {
            /// The last record taken in of every slice it owns.
            pub heads: Vec<(SliceId, ChainHead)>,
            /// Whether something was folded late that is not written: it stands before the cursors. It is set and taken while the shard
            /// is held, with the rows that it is about.
            pub is_late: bool,
            /// Slices whose rows are not loaded: they are folded from their beginning.
            pub left_out: Vec<SliceId>,
            /// The rules as published.
            pub rules: PublishedRules,
            /// The streams that are folded no further.
            pub parked: Parked,
            /// One row a deal; what other folds look deals up in.
            pub deals: Deals,
            $($(#[$doc])* pub $name: $type),*
        }

        impl Shard {
            /// Takes in a decision, unless its stream is parked.
            pub fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>) {
                if self.parked.leaves_out(decision.stream.as_str(), at) {
                    return;
                }
                self.rules.fold(decision, at);
                self.deals.fold(decision, at);
                $(self.$name.fold(decision, at, &self.deals);)*
            }

            /// Whether nothing that is derived from rows is put off.
            #[must_use]
            pub fn is_settled(&self) -> bool {
                true $(&& self.$name.unsettled() == 0)*
            }

            /// Settles what is put off, of each fold at most so much.
            pub fn settle(&mut self, at_most: usize) {
                $(self.$name.settle(&self.deals, at_most);)*
            }

            /// The rows of these tables were loaded, or of all: what is derived from them and not stored is made again.
            pub fn loaded(&mut self, names: Option<&[&str]>) {
                self.deals.loaded();
                $(if names.is_none_or(|names| has_one_of(&self.$name.tables(), names)) {
                    self.$name.loaded(&self.deals);
                })*
            }

            /// What has to be loaded for folds to go on with these tables: every table of their folds, and those that all
            /// folds rest on. The rows of other folds are no good then.
            #[must_use]
            pub fn folded_with(names: &[&str]) -> Vec<&'static str> {
                let shard = Self::default();
                let mut tables = shard.rules.tables();
                tables.extend(shard.parked.tables());
                tables.extend(shard.deals.tables());
                $(if has_one_of(&shard.$name.tables(), names) {
                    tables.extend(shard.$name.tables());
                })*
                tables.iter().map(|table| table.name()).collect()
            }

            /// Sets where a slice stands.
            pub fn set_head(&mut self, slice: SliceId, head: ChainHead) {
                match self.heads.iter_mut().find(|(known, _)| *known == slice) {
                    Some((_, known)) => *known = head,
                    None => self.heads.push((slice, head)),
                }
            }

            /// Every table.
            #[must_use]
            pub fn tables(&self) -> Vec<&dyn AnyTable> {
                let mut tables = self.rules.tables();
                tables.extend(self.parked.tables());
                tables.extend(self.deals.tables());
                $(tables.extend(self.$name.tables());)*
                tables
            }

            /// Every table, to load and to write it.
            #[must_use]
            pub fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
                let mut tables = self.rules.tables_mut();
                tables.extend(self.parked.tables_mut());
                tables.extend(self.deals.tables_mut());
                $(tables.extend(self.$name.tables_mut());)*
                tables
            }
        }
    };
}

fn has_one_of(tables: &[&dyn AnyTable], names: &[&str]) -> bool {
    tables.iter().any(|table| names.contains(&table.name()))
}

// One line a read model with rows of its own. Its views are listed in `query::VIEWS`.
read_models! {
    /// One row a partner.
    partners: Partners,
    /// Accounts as they were described.
    accounts: Accounts,
    /// Who competed for an account.
    conflicts: Conflicts,
    /// Touchpoints, and who won deals are credited to.
    attribution: Attribution,
    /// What partners brought in.
    revenue: Revenue,
    /// What the program costs.
    costs: Costs,
    /// Market development funds.
    funds: Funds,
}
