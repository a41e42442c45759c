//! The rows that single streams made, picked out of all rows.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use pledger_domain::stream::{StreamKind, StreamName};
use pledger_ledger::slices::{SliceId, Slices};

use crate::{
    cell::Cell,
    query::{Rows, ViewSpec},
    shard::Shard,
    table::AnyTable,
};

/// The rows of some streams, by stream: copies, so that nobody waits for who looks at them.
pub(super) struct RowsOf {
    /// All of them, for their tables only.
    picked: Shard,
    /// Where those of each stream lie.
    streams: Vec<Vec<Place>>,
    /// Its slice.
    slice_of: Vec<SliceId>,
    /// The published rules.
    rules: Vec<Place>,
    /// What every stream of a slice rests on.
    slices: HashMap<SliceId, Vec<Place>>,
    /// The numbers of partners' streams, by partner.
    partners: HashMap<String, usize>,
}

/// Where a row lies.
#[derive(Clone, Copy)]
struct Place {
    table: usize,
    row: u32,
}

/// Whose a table's rows are, by what stands first in its key.
enum Whose {
    /// The program's.
    Program,
    /// All streams' of a slice.
    Slice,
    /// A stream's of this kind, by what stands after the slash in its name.
    Kind(StreamKind),
    /// A stream's, by its whole name.
    Named,
}

impl Whose {
    fn of(table: &dyn AnyTable) -> Self {
        match table.columns()[0].name {
            "version" => Self::Program,
            "slice" => Self::Slice,
            "account" => Self::Kind(StreamKind::Account),
            "partner" => Self::Kind(StreamKind::Partner),
            "budget" => Self::Kind(StreamKind::Fund),
            "stream" => Self::Named,
            other => unreachable!("a key begins with what says whose its rows are, and not with {other}: every explanation looks at all"),
        }
    }
}

impl RowsOf {
    /// Picks the rows of these streams that a view is made from, looking at each of its tables once.
    pub(super) fn pick(rows: &Rows<'_>, view: &ViewSpec, streams: &[StreamName], slices: Slices) -> Self {
        let by_name: HashMap<&str, usize> = streams.iter().zip(0..).map(|(stream, at)| (stream.as_str(), at)).collect();
        let mut by_key: HashMap<StreamKind, HashMap<&str, usize>> = HashMap::new();
        for (stream, at) in streams.iter().zip(0..) {
            by_key.entry(stream.kind()).or_default().insert(stream.key(), at);
        }
        let mut picked = Shard::default();
        let mut of_streams = vec![Vec::new(); streams.len()];
        let (mut rules, mut of_slices): (Vec<Place>, HashMap<SliceId, Vec<Place>>) = Default::default();
        let mut tables = picked.tables_mut();
        for (number, from) in rows.shards().flat_map(|shard| shard.tables().into_iter().enumerate()) {
            let whose = Whose::of(from);
            if matches!(whose, Whose::Kind(_)) && !view.tables.contains(&from.name()) {
                continue;
            }
            let names = match &whose {
                Whose::Kind(kind) => by_key.get(kind),
                Whose::Named => Some(&by_name),
                Whose::Program | Whose::Slice => None,
            };
            from.each_first(&mut |row, first| {
                let known = |name: &str| names.and_then(|names| names.get(name)).copied();
                let of = match (&whose, first) {
                    (Whose::Program, _) => Some(&mut rules),
                    (Whose::Slice, Cell::Slice(slice)) => Some(of_slices.entry(slice).or_default()),
                    (Whose::Kind(_) | Whose::Named, Cell::Name(name)) => known(name).map(|stream| &mut of_streams[stream]),
                    (Whose::Kind(_) | Whose::Named, Cell::Text(name)) => known(&name).map(|stream| &mut of_streams[stream]),
                    (Whose::Slice | Whose::Kind(_) | Whose::Named, _) => unreachable!("slices are slices, and names are texts"),
                };
                if let Some(of) = of {
                    of.push(Place { table: number, row: tables[number].copy_row(from, row) });
                }
            });
        }
        drop(tables);
        let partners = by_key.get(&StreamKind::Partner).into_iter().flatten().map(|(partner, at)| ((*partner).to_owned(), *at)).collect();
        let slice_of = streams.iter().map(|stream| slices.of(stream)).collect();
        Self { picked, streams: of_streams, slice_of, rules, slices: of_slices, partners }
    }

    /// Whether a stream made no rows.
    pub(super) fn is_empty(&self, stream: usize) -> bool {
        self.streams[stream].is_empty()
    }

    /// The rows of one stream, by its number, without the rules.
    pub(super) fn only(&self, stream: usize) -> Shard {
        self.made(self.slices.get(&self.slice_of[stream]).into_iter().flatten().chain(&self.streams[stream]))
    }

    /// The published rules, and the rows of partners' streams, by their numbers.
    pub(super) fn partners(&self, streams: &[usize]) -> Shard {
        self.made(self.rules.iter().chain(streams.iter().flat_map(|stream| &self.streams[*stream])))
    }

    /// The partners' streams, by their numbers, that the rows of another stream name: their region and roles decide where it counts.
    pub(super) fn named_by(&self, made: &Shard) -> Vec<usize> {
        let deals = made.deals.deals.iter().flat_map(|(_, deal, _)| [deal.partner, deal.sourced_by]);
        let revenue = made.revenue.recorded.iter().map(|(key, ..)| key.partner);
        let costs = made.costs.months.iter().map(|(key, ..)| key.partner);
        let touches = made.attribution.touchpoints.iter().filter_map(|(_, touch, _)| touch.partner);
        let contenders = made.conflicts.contenders.iter().filter_map(|(_, contender, _)| contender.partner);
        let allocations = made.funds.allocations.iter().map(|(_, allocation, _)| allocation.partner);
        let named = deals.chain(revenue).chain(costs).chain(touches).chain(contenders).chain(allocations);
        let mut named: Vec<usize> = named.filter_map(|partner| self.partners.get(partner.name()).copied()).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The versions of the rules that the rows of all streams rest on.
    pub(super) fn versions(&self) -> BTreeSet<u32> {
        let tables = self.picked.tables();
        self.streams.iter().flatten().map(|place| tables[place.table].stand_at(place.row).rules).collect()
    }

    fn made<'p>(&self, places: impl Iterator<Item = &'p Place>) -> Shard {
        let (mut shard, from) = (Shard::default(), self.picked.tables());
        let mut tables = shard.tables_mut();
        for Place { table, row } in places {
            tables[*table].copy_row(from[*table], *row);
        }
        drop(tables);
        shard.loaded(None);
        shard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_says_whose_its_rows_are() {
        let named = Shard::default().tables().into_iter().filter(|table| matches!(Whose::of(*table), Whose::Named)).count();
        assert_eq!(named, 2, "costs and parked streams");
    }
}
