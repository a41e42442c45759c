//! Idempotency keys: what each was used for, remembered for a window of time under a cap of memory.

use std::collections::VecDeque;

use hashbrown::HashMap;
use pledger_domain::{stream::StreamName, values::Timestamp};
use pledger_ledger::{edge::senders, record::Decision};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long keys are remembered, and how many at most.
#[derive(Clone, Copy, Debug)]
pub struct KeyLimits {
    /// Days after which a key is forgotten.
    pub window_days: u16,
    /// The most keys a slice remembers; the oldest go first. About 100 bytes each.
    pub per_slice: usize,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { window_days: 30, per_slice: 200_000 }
    }
}

/// A key in its scope (sender, stream): 128 bits of SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ScopedKey(u128);

impl ScopedKey {
    pub(crate) fn new(sender: &str, stream: &StreamName, key: &str) -> Self {
        let mut sha = Sha256::new();
        for part in [sender, stream.as_str(), key] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&sha.finalize()[..16]);
        Self(u128::from_le_bytes(bytes))
    }
}

/// What a key was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyUse {
    /// The decision, in the key's slice.
    pub(crate) pseq: u64,
    /// The hash of the input.
    pub(crate) input: u128,
}

/// The keys of one slice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeyWindow {
    uses: HashMap<ScopedKey, KeyUse>,
    /// In order of use; an import's keys are not here, since they do not age.
    ages: VecDeque<(Timestamp, ScopedKey)>,
}

impl KeyWindow {
    pub(crate) fn get(&self, key: ScopedKey) -> Option<KeyUse> {
        self.uses.get(&key).copied()
    }

    /// Remembers what a recorded decision used its key for. An import's keys do not age.
    pub(crate) fn remember(&mut self, key: ScopedKey, used: KeyUse, decision: &Decision<'_>, limits: KeyLimits) {
        let ages = !decision.command.sender.starts_with(senders::IMPORT);
        self.insert(key, used, decision.recorded_at, ages, limits);
    }

    /// Remembers a use and forgets what is too old or too much.
    pub(crate) fn insert(&mut self, key: ScopedKey, used: KeyUse, at: Timestamp, ages: bool, limits: KeyLimits) {
        self.uses.insert(key, used);
        if ages {
            self.ages.push_back((at, key));
        }
        let oldest = at.plus_days(-i64::from(limits.window_days));
        while let Some((used_at, key)) = self.ages.front().copied() {
            if used_at >= oldest && self.ages.len() <= limits.per_slice {
                break;
            }
            self.ages.pop_front();
            self.uses.remove(&key);
        }
    }

    /// Every use, in the order of the decisions, and the keys in the order in which they age.
    pub(crate) fn sorted(&self) -> impl Serialize + use<'_> {
        let mut uses: Vec<_> = self.uses.iter().map(|(key, used)| (*key, *used)).collect();
        uses.sort_by_key(|(_, used)| used.pseq);
        (uses, &self.ages)
    }

    /// Forgets uses that turned out not to be durable: those from `first` on.
    pub(crate) fn forget_from(&mut self, first: u64) {
        self.uses.retain(|_, used| used.pseq < first);
        let uses = &self.uses;
        self.ages.retain(|(_, key)| uses.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KeyLimits = KeyLimits { window_days: 30, per_slice: 3 };

    fn key(n: u8) -> ScopedKey {
        ScopedKey::new("anonymous", &StreamName::program(), &n.to_string())
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_days(day)
    }

    #[test]
    fn keys_age_and_are_capped_but_not_those_of_an_import() {
        let mut window = KeyWindow::default();
        window.insert(key(0), KeyUse { pseq: 0, input: 0 }, at(0), false, LIMITS);
        for n in 1..=4 {
            window.insert(key(n), KeyUse { pseq: u64::from(n), input: 0 }, at(i64::from(n)), true, LIMITS);
        }
        let known = |window: &KeyWindow| (0..=5).filter(|n| window.get(key(*n)).is_some()).collect::<Vec<_>>();
        assert_eq!(known(&window), [0, 2, 3, 4]);
        window.insert(key(5), KeyUse { pseq: 5, input: 0 }, at(33), true, LIMITS);
        assert_eq!(known(&window), [0, 3, 4, 5]);
        window.forget_from(4);
        assert_eq!(known(&window), [0, 3]);
    }

    #[test]
    fn the_scope_is_sender_and_stream() {
        let fund = StreamName::parse("fund/b1").expect("a stream");
        let mine = ScopedKey::new("a", &StreamName::program(), "k");
        assert_ne!(mine, ScopedKey::new("b", &StreamName::program(), "k"));
        assert_ne!(mine, ScopedKey::new("a", &fund, "k"));
        assert_ne!(ScopedKey::new("ab", &fund, "c"), ScopedKey::new("a", &fund, "bc"));
    }
}
