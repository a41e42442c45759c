//! What other rows say of conflicts: who contends, and whether they are still open.

use compact_str::CompactString;
use hashbrown::HashMap;

use super::row::{Conflict, ConflictKey, ConflictKind, Contender, ContenderKey};
use crate::{
    deals::{Deal, DealKey},
    query::Rows,
    symbol::Symbol,
    table::Stand,
};

/// Every contest and dispute.
pub(super) fn contests<'a>(rows: &'a Rows<'_>) -> impl Iterator<Item = (&'a ConflictKey, &'a Conflict, Stand)> {
    rows.shards().flat_map(|shard| shard.conflicts.conflicts.iter())
}

type Contenders<'a> = HashMap<(Symbol, &'a str), Vec<(&'a ContenderKey, &'a Contender)>>;

/// What other rows say of some conflicts.
pub(super) struct Around<'a> {
    rows: &'a Rows<'a>,
    contenders: Contenders<'a>,
}

impl<'a> Around<'a> {
    pub(super) fn of(rows: &'a Rows<'a>, keys: impl Iterator<Item = &'a ConflictKey>) -> Self {
        let mut contenders: Contenders<'a> = keys.map(|key| ((key.account, key.subject.as_str()), Vec::new())).collect();
        for (key, row, _) in rows.shards().flat_map(|shard| shard.conflicts.contenders.iter()) {
            if let Some(listed) = contenders.get_mut(&(key.account, key.subject.as_str())) {
                listed.push((key, row));
            }
        }
        Self { rows, contenders }
    }

    pub(super) fn of_all(rows: &'a Rows<'a>) -> Self {
        let keys: Vec<_> = contests(rows).map(|(key, ..)| key).collect();
        Self::of(rows, keys.iter().copied())
    }

    pub(super) fn listed(&self, key: &'a ConflictKey) -> impl Iterator<Item = &(&'a ContenderKey, &'a Contender)> {
        self.contenders.get(&(key.account, key.subject.as_str())).into_iter().flatten()
    }

    pub(super) fn deal(&self, account: Symbol, deal: &CompactString) -> Option<&'a Deal> {
        let key = DealKey { account, deal: deal.clone() };
        self.rows.shards().find_map(|shard| shard.deals.deals.get(&key))
    }

    /// Whether a dispute has no ruling, or what is contended still is: by several partners' open deals, or one beside a direct claim.
    pub(super) fn is_open(&self, key: &ConflictKey, conflict: &Conflict) -> bool {
        match conflict.kind {
            ConflictKind::Dispute => conflict.ruled_at.is_none(),
            ConflictKind::HistoricalOverlap
            | ConflictKind::Overlap
            | ConflictKind::DirectClaim
            | ConflictKind::RefusedDirectClaim
            | ConflictKind::RefusedRegistration => self.rows.shards().any(|shard| shard.conflicts.is_contended(key, &shard.deals)),
        }
    }
}
