//! Names that many rows repeat, kept once: eight bytes a row, equal by address.

use std::{
    cell::Cell,
    cmp::Ordering,
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    sync::{LazyLock, OnceLock},
};

use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use parking_lot::RwLock;

const SHARDS: usize = 32;

/// An interned name: of a partner, an account, a product, a region. Two symbols of one name are the same symbol.
///
/// Names live as long as the process: there are as many as the ledger has partners, accounts and products, and the
/// rows that use them live as long. Symbols are ordered by their names, so no order ever depends on what came first.
#[derive(Clone, Copy)]
pub struct Symbol(&'static Name);

/// Short names lie where the symbol points to.
struct Name(CompactString);

type Names = RwLock<HashTable<&'static Name>>;

/// Names that each thread finds again without looking among all of them: partners, products and regions recur.
const RECENT_NAMES: usize = 1024;

thread_local! {
    static RECENT: [Cell<Option<Symbol>>; RECENT_NAMES] = const { [const { Cell::new(None) }; RECENT_NAMES] };
}

static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
static NAMES: [Names; SHARDS] = [const { RwLock::new(HashTable::new()) }; SHARDS];

impl Symbol {
    /// The symbol of `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let hash = HASHER.hash_one(name);
        RECENT.with(|recent| {
            #[expect(clippy::cast_possible_truncation, reason = "any bits do to choose a place")]
            let place = &recent[hash as usize % RECENT_NAMES];
            if let Some(known) = place.get().filter(|known| known.name() == name) {
                return known;
            }
            let symbol = Self::known_by(hash, name).unwrap_or_else(|| Self::made(hash, name));
            place.set(Some(symbol));
            symbol
        })
    }

    fn made(hash: u64, name: &str) -> Self {
        match names(hash).write().entry(hash, |known| known.0 == name, |known| HASHER.hash_one(known.0.as_str())) {
            Entry::Occupied(known) => Self(known.get()),
            Entry::Vacant(place) => {
                let kept: &'static Name = Box::leak(Box::new(Name(name.into())));
                place.insert(kept);
                Self(kept)
            }
        }
    }

    /// The symbol of `name` where there is one: what a question looks names up by, since it must not make any.
    #[must_use]
    pub fn known(name: &str) -> Option<Self> {
        Self::known_by(HASHER.hash_one(name), name)
    }

    fn known_by(hash: u64, name: &str) -> Option<Self> {
        names(hash).read().find(hash, |known| known.0 == name).map(|known| Self(known))
    }

    /// The symbol of the empty name: what a default row holds.
    #[must_use]
    pub fn empty() -> Self {
        static EMPTY: OnceLock<Symbol> = OnceLock::new();
        *EMPTY.get_or_init(|| Self::of(""))
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.0.0
    }

    /// Equal for equal names, different for different ones, in this process only; never 0.
    #[must_use]
    pub fn address(self) -> u64 {
        std::ptr::from_ref(self.0).addr() as u64
    }
}

fn names(hash: u64) -> &'static Names {
    &NAMES[(hash >> 32) as usize % SHARDS]
}

impl Default for Symbol {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Symbol {}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.address());
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.name().cmp(other.name()) }
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name(), f)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
        assert_eq!(Symbol::known("symbol-a"), Some(a));
        assert_eq!(Symbol::known("symbol-never-made"), None);
    }
}
