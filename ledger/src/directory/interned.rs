//! Strings kept once, end to end in one buffer, and known by a number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

/// A set of strings; each has a number, from 0 in the order of insertion.
///
/// A string costs its bytes, 8 for where it ends and about 8 in the table; a map from owned strings would cost 60 more.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub(super) struct Interned {
    text: String,
    ends: Vec<u64>,
    /// The numbers by their strings; made again when a snapshot is read. Its seed is random: ids come from outside.
    #[serde(skip)]
    table: HashTable<u32>,
    #[serde(skip)]
    hasher: DefaultHashBuilder,
}

#[derive(Deserialize)]
struct Stored {
    text: String,
    ends: Vec<u64>,
}

impl Interned {
    /// The string's number, where it is in the set.
    pub(super) fn find(&self, string: &str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(string), |n| self.get(*n) == string).copied()
    }

    /// The string's number, now that it is in the set, and whether it is new.
    pub(super) fn insert(&mut self, string: &str) -> (u32, bool) {
        if let Some(number) = self.find(string) {
            return (number, false);
        }
        let number = u32::try_from(self.ends.len()).expect("memory ends before four billion strings");
        self.text.push_str(string);
        self.ends.push(self.text.len() as u64);
        self.index(number);
        (number, true)
    }

    /// The string of a number that `insert` gave.
    pub(super) fn get(&self, number: u32) -> &str {
        slice(&self.text, &self.ends, number)
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    fn index(&mut self, number: u32) {
        let Self { text, ends, table, hasher } = self;
        let hash = hasher.hash_one(slice(text, ends, number));
        table.insert_unique(hash, number, |n| hasher.hash_one(slice(text, ends, *n)));
    }
}

fn slice<'a>(text: &'a str, ends: &[u64], number: u32) -> &'a str {
    let at = |n: usize| usize::try_from(ends[n]).expect("an offset in memory");
    let n = number as usize;
    let start = n.checked_sub(1).map_or(0, at);
    &text[start..at(n)]
}

impl TryFrom<Stored> for Interned {
    type Error = &'static str;

    fn try_from(Stored { text, ends }: Stored) -> Result<Self, Self::Error> {
        let mut last = 0;
        for end in &ends {
            let whole = usize::try_from(*end).is_ok_and(|end| text.is_char_boundary(end));
            if *end < last || !whole {
                return Err("a set of strings is cut in the wrong place");
            }
            last = *end;
        }
        let count = u32::try_from(ends.len()).map_err(|_| "a set of strings is too long")?;
        let mut interned = Self { text, ends, ..Self::default() };
        (0..count).for_each(|number| interned.index(number));
        Ok(interned)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_keep_their_numbers_and_survive_a_snapshot(strings in prop::collection::vec("[a-c\u{e9}]{0,4}", 0..200)) {
            let mut interned = Interned::default();
            let mut seen: Vec<&str> = vec![];
            for string in &strings {
                let known = seen.iter().position(|s| s == string);
                let (number, new) = interned.insert(string);
                prop_assert_eq!(new, known.is_none());
                prop_assert_eq!(number as usize, known.unwrap_or(seen.len()));
                if new {
                    seen.push(string);
                }
            }
            let bytes = postcard::to_allocvec(&interned).expect("written");
            let read: Interned = postcard::from_bytes(&bytes).expect("read");
            prop_assert_eq!(read.len(), seen.len());
            for (n, string) in seen.iter().enumerate() {
                prop_assert_eq!(read.find(string).map(|n| n as usize), Some(n));
            }
            prop_assert_eq!(read.find("zzz"), None);
        }
    }

    #[test]
    fn a_cut_inside_a_character_is_refused() {
        for (text, ends) in [("\u{e9}", vec![1_u64]), ("ab", vec![2, 1]), ("ab", vec![3])] {
            let bytes = postcard::to_allocvec(&(text, ends)).expect("written");
            assert!(postcard::from_bytes::<Interned>(&bytes).is_err(), "{text}");
        }
    }
}
