//! Checking a bundle, without the ledger.

use bytes::Bytes;
use ct_merkle::{InclusionProof, RootHash};
use pledger_domain::values::Timestamp;
use sha2::Sha256;

use super::{
    Bundle, EvidenceError, ProvenRecord,
    signing::PublicKey,
    statement::{Statement, read_hex},
    unreadable::{check_beginning, not_as_written, unreadable},
};
use crate::record::{Hash, Record};

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The ledger's id.
    pub ledger_id: String,
    /// What it is about: a stream or a deal.
    pub about: String,
    /// Everything about it that was recorded up to then.
    pub until: Timestamp,
    /// Whose signature it carries.
    pub signed_by: PublicKey,
    /// The records, by position.
    pub records: Vec<Record>,
}

/// Checks every hash, every proof and the signature; with `expected`, also that it is this key's.
///
/// # Errors
/// `EvidenceError::Invalid` with what does not hold, `OtherKey`.
pub fn verify(file: &[u8], expected: Option<PublicKey>) -> Result<Confirmed, EvidenceError> {
    let invalid = |reason: &str| EvidenceError::Invalid(reason.to_owned());
    check_beginning(file)?;
    let bundle: Bundle = serde_json::from_slice(file).map_err(|error| unreadable(file, &error))?;
    let written = serde_json::to_vec(&bundle).map_err(|error| EvidenceError::Invalid(error.to_string()))?;
    if written != file {
        return Err(not_as_written(file, &written));
    }
    let signed_by: PublicKey = bundle
        .public_key
        .parse()
        .map_err(|error| EvidenceError::Invalid(format!("its public key was changed after it was written: {error}. Get the file again")))?;
    if !signed_by.signed(bundle.statement.as_bytes(), &bundle.signature) {
        return Err(invalid(
            "its signature is not that of its statement: one of the two, or the public key, was changed after it was written. Get the file again",
        ));
    }
    if let Some(expected) = expected.filter(|expected| *expected != signed_by) {
        return Err(EvidenceError::OtherKey { signed_by, expected });
    }
    let statement = Statement::parse(&bundle.statement)
        .ok_or_else(|| invalid("its statement cannot be read, although it is signed: it was made by another program"))?;
    if !bundle.records.iter().map(|proven| &proven.position).eq(&statement.decisions) {
        return Err(invalid("its decisions are not those that its statement names"));
    }
    let records = bundle.records.iter().map(|proven| confirm(proven, &statement)).collect::<Result<_, _>>()?;
    Ok(Confirmed { ledger_id: statement.ledger_id, about: statement.about, until: statement.until, signed_by, records })
}

fn confirm(proven: &ProvenRecord, statement: &Statement) -> Result<Record, EvidenceError> {
    let position = proven.position;
    let invalid = || {
        EvidenceError::Invalid(format!(
            "the decision at {position} is not in the ledger that its statement describes: it was changed after it was written. Get the file again"
        ))
    };
    let prev = read_hex(&proven.prev).map(Hash).ok_or_else(invalid)?;
    let body = Bytes::copy_from_slice(proven.body.get().as_bytes());
    let record = Record::chain(position.slice, position.pseq, proven.term, prev, body);
    let root = statement.roots.get(usize::from(position.slice)).ok_or_else(invalid)?;
    let path: Option<Vec<[u8; 32]>> = proven.path.iter().map(|step| read_hex(step)).collect();
    let path = InclusionProof::<Sha256>::from_bytes(path.ok_or_else(invalid)?.concat());
    let root = RootHash::<Sha256>::new(root.root.into(), root.len);
    root.verify_inclusion(&record.header.hash.0, position.pseq, &path).map_err(|_| invalid())?;
    Ok(record)
}
