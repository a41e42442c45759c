//! Evidence: decisions with the proof that they are in the ledger, which anyone can check without it.
//!
//! The hashes of a slice's valid records are the leaves of a Merkle tree (RFC 6962, SHA-256). A bundle holds decisions as
//! they were hashed, each with its inclusion proof, and a statement signed with the ledger's Ed25519 key: which ledger, what
//! the bundle is about, every slice's length and root, and the positions of the decisions, which are all there are about it.
//! A bundle is valid in the very bytes in which it was written only.

mod bundle;
#[cfg(feature = "postgres")]
mod in_postgres;
mod signing;
mod statement;
mod unreadable;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use pledger_domain::{program::ProgramEvent, values::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;

pub use bundle::{Confirmed, verify};
pub use signing::{KEY_FILE, LedgerKey, PublicKey};
pub use unreadable::check_beginning;

use crate::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, UpTo},
    record::{Body, Decision, Events, Outcome, Record},
    slices::Position,
};
use statement::{SliceRoot, Statement};

/// How many records are read at once.
const READ: usize = 4096;

/// What every bundle begins with; the version of its form follows.
const BEGINNING: &[u8] = br#"{"statement":"pledger evidence "#;

/// The longest bundle that is checked, and therefore made, in bytes: it is held in memory three times.
pub const MAX_BUNDLE_LEN: u64 = 2 << 30;

/// Why there is no evidence, or none that holds.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record of the ledger is not what its hash says.
    #[error("the record at {0} is damaged; find out more with: pledger verify")]
    Damaged(Position),
    /// Nothing in the ledger is about it.
    #[error("the ledger has no decision about {0}")]
    Nothing(String),
    /// Its bundle would be too long to be checked.
    #[error(
        "the evidence about {about} would be longer than {} MiB, more than is checked at once. Ask for evidence of a deal instead of a whole account",
        .limit >> 20
    )]
    TooLong {
        /// What it was to be about.
        about: String,
        /// The longest that is checked, in bytes.
        limit: u64,
    },
    /// The signing key cannot be read or written.
    #[error("the signing key {path}: {reason}")]
    Key {
        /// Its file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The bundle is no evidence.
    #[error("this is no evidence: {0}")]
    Invalid(String),
    /// It is evidence of somebody else.
    #[error("this is evidence of another ledger: it is signed by {signed_by}, not by {expected}")]
    OtherKey {
        /// The key in the bundle.
        signed_by: PublicKey,
        /// The key that was asked for.
        expected: PublicKey,
    },
}

/// The file, in this order of members and without any space between them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    statement: String,
    public_key: String,
    signature: String,
    records: Vec<ProvenRecord>,
}

/// A record as it was hashed, and the path from it to its slice's root.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvenRecord {
    position: Position,
    term: u64,
    prev: String,
    body: Box<RawValue>,
    path: Vec<String>,
}

/// Makes a bundle about `about` of all decisions that `is_about` picks, and of the rules that they name. It is at most
/// `limit` bytes long; of longer ones than `MAX_BUNDLE_LEN` nobody checks any.
///
/// # Errors
/// `EvidenceError`: `Nothing` where no decision is picked, `TooLong` where it would be longer than `limit`.
pub fn make(
    log: &dyn Log,
    ledger_id: &str,
    about: &str,
    key: &LedgerKey,
    limit: u64,
    is_about: &mut dyn FnMut(&Decision<'_>) -> bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<u8>, EvidenceError> {
    let too_long = || EvidenceError::TooLong { about: about.to_owned(), limit };
    let read = read(log, is_about, limit, progress)?.ok_or_else(too_long)?;
    if read.picked.is_empty() {
        return Err(EvidenceError::Nothing(about.to_owned()));
    }
    let mut records: Vec<&Record> = read.picked.iter().chain(read.rules_named()).collect();
    records.sort_unstable_by_key(|record| record.position());
    let roots = read.trees.iter().map(|tree| SliceRoot { len: tree.len(), root: (*tree.root().as_bytes()).into() });
    let statement = Statement {
        ledger_id: ledger_id.to_owned(),
        about: about.to_owned(),
        until: read.until,
        roots: roots.collect(),
        decisions: records.iter().map(|record| record.position()).collect(),
    };
    let statement = statement.to_string();
    let proven: Result<Vec<ProvenRecord>, _> = records.iter().map(|record| read.prove(record)).collect();
    let bundle = Bundle { public_key: key.public().to_string(), signature: key.sign(statement.as_bytes()), statement, records: proven? };
    let file = serde_json::to_vec(&bundle).map_err(|error| EvidenceError::Invalid(error.to_string()))?;
    if file.len() as u64 > limit { Err(too_long()) } else { Ok(file) }
}

/// What one pass over the ledger finds.
struct Read {
    trees: Vec<MemoryBackedTree<Sha256, [u8; 32]>>,
    picked: Vec<Record>,
    /// How long the bodies of those are together, in bytes: a bundle is longer.
    picked_len: u64,
    /// The versions of the rules that picked decisions name.
    named: Vec<u32>,
    /// Publications of rules, each with its version.
    rules: Vec<(u32, Record)>,
    /// When the last record was written.
    until: Timestamp,
}

/// None where what is picked is longer than `limit`, in bytes: no more of it is held in memory.
fn read(
    log: &dyn Log,
    is_about: &mut dyn FnMut(&Decision<'_>) -> bool,
    limit: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<Read>, EvidenceError> {
    let slices = usize::from(log.slices().count);
    let mut heads = vec![ChainHead::default(); slices];
    let trees = (0..slices).map(|_| MemoryBackedTree::new()).collect();
    let mut read =
        Read { trees, picked: Vec::new(), picked_len: 0, named: Vec::new(), rules: Vec::new(), until: Timestamp::from_micros(0) };
    let mut up_to = UpTo::the_end(log, &[])?;
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            return Ok(Some(read));
        }
        progress(placed.len() as u64);
        for one in &placed {
            let slice = usize::from(one.record.header.slice);
            if heads[slice].accept(one.offset, &one.record) == Verdict::Valid {
                read.take(&one.record, is_about)?;
            }
        }
        if read.picked_len > limit {
            return Ok(None);
        }
    }
}

impl Read {
    fn take(&mut self, record: &Record, is_about: &mut dyn FnMut(&Decision<'_>) -> bool) -> Result<(), EvidenceError> {
        if !record.is_intact() {
            return Err(EvidenceError::Damaged(record.position()));
        }
        self.trees[usize::from(record.header.slice)].push(record.header.hash.0);
        let Ok(Body::Decision(decision)) = Body::decode(&record.body) else { return Ok(()) };
        self.until = self.until.max(decision.recorded_at);
        if is_about(&decision) {
            self.picked_len += record.body.len() as u64;
            self.picked.push(record.clone());
            self.named.push(decision.rules);
        } else if let Outcome::Accepted(Events::Program(events)) = &decision.outcome {
            for ProgramEvent::RulesPublished { version, .. } in events.iter() {
                self.rules.push((*version, record.clone()));
            }
        }
        Ok(())
    }

    /// The publications of the rules that picked decisions name.
    fn rules_named(&self) -> impl Iterator<Item = &Record> {
        self.rules.iter().filter(|(version, _)| self.named.contains(version)).map(|(_, record)| record)
    }

    fn prove(&self, record: &Record) -> Result<ProvenRecord, EvidenceError> {
        let header = &record.header;
        let place = usize::try_from(header.pseq).map_err(|_| EvidenceError::Damaged(record.position()))?;
        let path = self.trees[usize::from(header.slice)].prove_inclusion(place);
        let body = serde_json::from_slice(&record.body).map_err(|_| EvidenceError::Damaged(record.position()))?;
        Ok(ProvenRecord {
            position: record.position(),
            term: header.term,
            prev: header.prev.to_string(),
            body,
            path: path.as_bytes().chunks(32).map(statement::hex).collect(),
        })
    }
}
