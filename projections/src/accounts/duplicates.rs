//! Accounts under different keys that may be one and the same: flagged with a score, never refused (F43).

use hashbrown::HashMap;

use super::fold::Account;
use crate::{query::Rows, symbol::Symbol};

/// Neighbours in the order of names that a name is compared with.
const WINDOW: usize = 3;
/// The score of the same DUNS number, or of the same name and country.
const SCORE_OF_EQUALS: f64 = 1.0;

/// Two keys that may mean one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// The key that is first in order.
    pub account: Symbol,
    /// The other one.
    pub other: Symbol,
    /// How alike they are, from 0 to 1: 1 for the same DUNS number or the same name and country, else the Jaro-Winkler
    /// similarity of their names.
    pub score: f64,
    /// What is alike: `duns`, `name_and_country` or `similar_name`.
    pub by: &'static str,
}

/// The pairs that are at least `similarity` alike, in the order of their keys.
///
/// Equal numbers and names are found whatever their number. Names are compared with their neighbours in alphabetical
/// order only (the sorted-neighbourhood method), which bounds the work: a name that differs in its first letters is not
/// found.
#[must_use]
pub fn duplicates(rows: &Rows<'_>, similarity: f64) -> Vec<Duplicate> {
    let mut accounts: Vec<(Symbol, &Account)> =
        rows.shards().flat_map(|shard| shard.accounts.accounts.iter().map(|(key, account, _)| (key.account, account))).collect();
    accounts.sort_unstable_by(|a, b| (&a.1.comparable, a.0).cmp(&(&b.1.comparable, b.0)));
    let mut pairs: HashMap<(Symbol, Symbol), (f64, &'static str)> = HashMap::new();
    let mut flag = |a: Symbol, b: Symbol, score: f64, by| {
        pairs.entry((a.min(b), a.max(b))).or_insert((score, by));
    };
    let mut by_duns: HashMap<&str, Symbol> = HashMap::new();
    for (key, account) in &accounts {
        if let Some(duns) = &account.duns {
            match by_duns.get(duns.as_str()) {
                Some(first) => flag(*first, *key, SCORE_OF_EQUALS, "duns"),
                None => drop(by_duns.insert(duns, *key)),
            }
        }
    }
    for (place, (key, account)) in accounts.iter().enumerate() {
        for (other_key, other) in &accounts[place + 1..accounts.len().min(place + 1 + WINDOW)] {
            if let Some((score, by)) = alike(account, other).filter(|(score, _)| *score >= similarity) {
                flag(*key, *other_key, score, by);
            }
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().map(|((account, other), (score, by))| Duplicate { account, other, score, by }).collect();
    pairs.sort_unstable_by_key(|pair| (pair.account, pair.other));
    pairs
}

/// How alike two accounts' names are; none where their countries or DUNS numbers say that they are two.
fn alike(one: &Account, other: &Account) -> Option<(f64, &'static str)> {
    let differ = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| a != b);
    if differ(one.country.as_deref(), other.country.as_deref()) || differ(one.duns.as_deref(), other.duns.as_deref()) {
        return None;
    }
    // "Store 12" and "Store 13" are as alike as names can be, and two.
    let digits = |account: &Account| account.comparable.chars().filter(char::is_ascii_digit).collect::<String>();
    if one.comparable.is_empty() || digits(one) != digits(other) {
        return None;
    }
    if one.comparable == other.comparable {
        return Some((SCORE_OF_EQUALS, "name_and_country"));
    }
    Some((strsim::jaro_winkler(&one.comparable, &other.comparable), "similar_name"))
}
