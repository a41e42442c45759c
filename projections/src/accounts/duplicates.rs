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
    let accounts = rows.shards().flat_map(|shard| shard.accounts.accounts.iter());
    let mut accounts: Vec<_> = accounts.map(|(key, account, _)| Named::of(key.account, account)).collect();
    accounts.sort_unstable_by(|a, b| (a.begins, &a.account.comparable, a.key).cmp(&(b.begins, &b.account.comparable, b.key)));
    let mut pairs: HashMap<(Symbol, Symbol), (f64, &'static str)> = HashMap::new();
    let mut flag = |a: Symbol, b: Symbol, score: f64, by| {
        pairs.entry((a.min(b), a.max(b))).or_insert((score, by));
    };
    let mut by_duns: HashMap<&str, Symbol> = HashMap::new();
    for Named { key, account, .. } in &accounts {
        if let Some(duns) = &account.duns {
            match by_duns.get(duns.as_str()) {
                Some(first) => flag(*first, *key, SCORE_OF_EQUALS, "duns"),
                None => drop(by_duns.insert(duns, *key)),
            }
        }
    }
    for (place, one) in accounts.iter().enumerate() {
        for other in &accounts[place + 1..accounts.len().min(place + 1 + WINDOW)] {
            // Nearly all neighbours differ in their digits: they are told apart without looking at them.
            let alike = if one.digits == other.digits { alike(one.account, other.account) } else { None };
            if let Some((score, by)) = alike.filter(|(score, _)| *score >= similarity) {
                flag(one.key, other.key, score, by);
            }
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().map(|((account, other), (score, by))| Duplicate { account, other, score, by }).collect();
    pairs.sort_unstable_by_key(|pair| (pair.account, pair.other));
    pairs
}

/// An account, with what most others are told from it by.
struct Named<'a> {
    /// The first bytes of its comparable name, so that they compare as the names do.
    begins: u128,
    /// The hash of the digits in its name.
    digits: u64,
    key: Symbol,
    account: &'a Account,
}

impl<'a> Named<'a> {
    fn of(key: Symbol, account: &'a Account) -> Self {
        let name = account.comparable.as_bytes();
        let mut begins = [0; 16];
        let length = name.len().min(begins.len());
        begins[..length].copy_from_slice(&name[..length]);
        // FNV-1a: names are short.
        let mix = |hash: u64, digit: &u8| (hash ^ u64::from(*digit)).wrapping_mul(0x0100_0000_01b3);
        let digits = name.iter().filter(|byte| byte.is_ascii_digit()).fold(0xcbf2_9ce4_8422_2325, mix);
        Self { begins: u128::from_be_bytes(begins), digits, key, account }
    }
}

/// How alike two accounts' names are; none where their countries or DUNS numbers say that they are two.
fn alike(one: &Account, other: &Account) -> Option<(f64, &'static str)> {
    let differ = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| a != b);
    if differ(one.country.as_deref(), other.country.as_deref()) || differ(one.duns.as_deref(), other.duns.as_deref()) {
        return None;
    }
    // "Store 12" and "Store 13" are as alike as names can be, and two.
    let digits = |name: &'_ str| name.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    if one.comparable.is_empty() || digits(&one.comparable) != digits(&other.comparable) {
        return None;
    }
    if one.comparable == other.comparable {
        return Some((SCORE_OF_EQUALS, "name_and_country"));
    }
    Some((strsim::jaro_winkler(&one.comparable, &other.comparable), "similar_name"))
}
