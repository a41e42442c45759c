//! Where keys and subject ids come from: the operating system, or the seed of a generated history.

use hmac::{Hmac, KeyInit, Mac};
use pledger_domain::values::PersonId;
use sha2::Sha256;
use zeroize::Zeroize;

use super::envelope::SubjectKey;

/// Where new keys and subject ids come from.
///
/// **Seeded keys protect nothing**: whoever reads the seed, which the ledger's first record tells, derives every key, also
/// after erasure. They exist so that a generated history, of persons who do not exist, has the same bytes every
/// time. Everything else is `Random`, and so are the persons that somebody adds to a generated history later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Minting {
    /// From the operating system.
    #[default]
    Random,
    /// Derived from a seed: for generated histories only.
    Seeded(u64),
}

/// The key of the store itself: it hides row ids.
#[derive(Clone)]
pub(super) struct StoreKey(pub(super) [u8; 32]);

impl Drop for StoreKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The hash under which a row id's subject is found.
pub(super) type RowHash = [u8; 32];

impl StoreKey {
    /// HMAC-SHA-256 under the store's key over sender and row id.
    pub(super) fn row_hash(&self, sender: &str, row: &str) -> RowHash {
        hmac(&self.0, &[b"row", sender.as_bytes(), row.as_bytes()])
    }
}

impl Minting {
    pub(super) fn store_key(self) -> StoreKey {
        match self {
            Self::Random => StoreKey(random()),
            Self::Seeded(seed) => StoreKey(hmac(&seed.to_le_bytes(), &[b"store"])),
        }
    }

    /// A new subject's id: 128 bits, in hexadecimal, after `s-`.
    pub(super) fn subject(self, row: &RowHash) -> PersonId {
        let bytes = match self {
            Self::Random => random(),
            Self::Seeded(seed) => hmac(&seed.to_le_bytes(), &[b"subject", row]),
        };
        let mut id = String::with_capacity(34);
        id.push_str("s-");
        bytes[..16].iter().for_each(|byte| id.push_str(&format!("{byte:02x}")));
        PersonId::parse(&id).expect("hexadecimal digits are allowed in an id")
    }

    pub(super) fn key(self, subject: &PersonId) -> SubjectKey {
        match self {
            Self::Random => SubjectKey(random()),
            Self::Seeded(seed) => {
                let mut key = [0; SubjectKey::LEN];
                for (half, name) in key.chunks_exact_mut(32).zip([b"mac", b"enc"]) {
                    half.copy_from_slice(&hmac(&seed.to_le_bytes(), &[b"key", name, subject.as_str().as_bytes()]));
                }
                let made = SubjectKey(key);
                key.zeroize();
                made
            }
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// HMAC-SHA-256 over parts, each after its length, so that no two lists of parts give the same input.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is allowed");
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_keys_and_ids_and_nothing_else_does() {
        let ada = PersonId::parse("ada").expect("an id");
        let row = Minting::Seeded(7).store_key().row_hash("crm", "4711");
        assert_eq!(row, Minting::Seeded(7).store_key().row_hash("crm", "4711"));
        assert_ne!(row, Minting::Seeded(8).store_key().row_hash("crm", "4711"));
        assert_eq!(Minting::Seeded(7).subject(&row), Minting::Seeded(7).subject(&row));
        assert_eq!(Minting::Seeded(7).key(&ada).0, Minting::Seeded(7).key(&ada).0);
        assert_ne!(Minting::Seeded(7).key(&ada).0, Minting::Seeded(8).key(&ada).0);
        assert_ne!(Minting::Random.key(&ada).0, Minting::Random.key(&ada).0);
        assert_ne!(Minting::Random.subject(&row), Minting::Random.subject(&row));
    }

    #[test]
    fn sender_and_row_cannot_be_shifted_into_each_other() {
        let key = Minting::Random.store_key();
        assert_ne!(key.row_hash("crm", "1x"), key.row_hash("crm1", "x"));
        assert_ne!(key.row_hash("a", "x"), Minting::Random.store_key().row_hash("a", "x"));
    }
}
