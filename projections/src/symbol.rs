//! Names that many rows repeat, kept once: eight bytes a row, equal by address.

use std::{
    cmp::Ordering,
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    sync::{LazyLock, OnceLock},
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use parking_lot::RwLock;

const SHARDS: usize = 32;

/// An interned name: of a partner, an account, a product, a region. Two symbols of one name are the same symbol.
///
/// Names live as long as the process: there are as many as the ledger has partners, accounts and products, and the
/// rows that use them live as long. Symbols are ordered by their names, so no order ever depends on what came first.
#[derive(Clone, Copy)]
pub struct Symbol(&'static str);

type Names = RwLock<HashTable<&'static str>>;

static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
static NAMES: [Names; SHARDS] = [const { RwLock::new(HashTable::new()) }; SHARDS];

impl Symbol {
    /// The symbol of `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let hash = HASHER.hash_one(name);
        let names = &NAMES[(hash >> 32) as usize % SHARDS];
        if let Some(known) = names.read().find(hash, |known| *known == name) {
            return Self(known);
        }
        match names.write().entry(hash, |known| *known == name, |known| HASHER.hash_one(*known)) {
            Entry::Occupied(known) => Self(known.get()),
            Entry::Vacant(place) => {
                let kept: &'static str = Box::leak(Box::from(name));
                place.insert(kept);
                Self(kept)
            }
        }
    }

    /// The symbol of the empty name: what a default row holds.
    #[must_use]
    pub fn empty() -> Self {
        static EMPTY: OnceLock<Symbol> = OnceLock::new();
        *EMPTY.get_or_init(|| Self::of(""))
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// The name's address: equal for equal names, different for different ones, in this process only.
    #[must_use]
    pub fn address(self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        // Equal names share an address; the length tells the empty name from one that begins where it lies.
        self.address() == other.address() && self.0.len() == other.0.len()
    }
}

impl Eq for Symbol {}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.address());
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.0.cmp(other.0) }
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_symbol_and_order_is_that_of_names() {
        let (b, a) = (Symbol::of("symbol-b"), Symbol::of("symbol-a"));
        assert_eq!(a, Symbol::of(&String::from("symbol-a")));
        assert_ne!(a, b);
        assert!(a < b);
        assert_eq!(Symbol::default(), Symbol::of(""));
        assert_eq!(a.name(), "symbol-a");
    }
}
