//! What is wrong with a file that is no bundle, in words: where, and what to do about it.

use super::{BEGINNING, EvidenceError};

/// The version of bundles that are read here.
const VERSION: &str = "1";

/// Looks at how a file begins: whether it may be a bundle, of a version that is read here. Its first hundred bytes are enough.
///
/// # Errors
/// `EvidenceError::Invalid`.
pub fn check_beginning(file: &[u8]) -> Result<(), EvidenceError> {
    if file.is_empty() {
        return invalid("the file is empty. Get it again from whoever made it");
    }
    let Some(rest) = file.strip_prefix(BEGINNING) else {
        if BEGINNING.starts_with(file) {
            return invalid(&cut(file.len()));
        }
        return invalid(&not_begun(file));
    };
    let version: String = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).map(|digit| char::from(*digit)).collect();
    if version.is_empty() || version == VERSION {
        return Ok(());
    }
    invalid(&format!(
        "it is a bundle of version {version}, and this pledger checks version {VERSION}. Check it with the pledger that made it"
    ))
}

fn invalid(reason: &str) -> Result<(), EvidenceError> {
    Err(EvidenceError::Invalid(reason.to_owned()))
}

fn cut(len: usize) -> String {
    format!("it ends after {len} bytes, in the middle of the bundle: it was cut short on its way. Get the whole file again")
}

fn not_begun(file: &[u8]) -> String {
    let begins = String::from_utf8_lossy(BEGINNING);
    // A bundle that was changed in its first bytes looks much like one.
    let near = file.iter().zip(BEGINNING).filter(|(byte, expected)| byte == expected).count();
    if near * 2 > BEGINNING.len() {
        let first = file.iter().zip(BEGINNING).position(|(byte, expected)| byte != expected).unwrap_or_default();
        return changed(first);
    }
    format!(
        "every bundle begins with {begins}, and this file does not. Is it the file that pledger evidence --out wrote, \
         neither packed nor opened and saved by another program?"
    )
}

/// `at` counts bytes from 0, as editors for bytes do.
fn changed(at: usize) -> String {
    format!("it was changed after it was written, at byte {at}. Get the file again, as bytes and not as text")
}

/// What no bundle is in the form of.
pub(super) fn unreadable(file: &[u8], error: &serde_json::Error) -> EvidenceError {
    EvidenceError::Invalid(if error.is_eof() { cut(file.len()) } else { changed(offset(file, error)) })
}

/// What reads as a bundle and is not in its very bytes.
pub(super) fn not_as_written(file: &[u8], written: &[u8]) -> EvidenceError {
    let first = file.iter().zip(written).position(|(byte, expected)| byte != expected);
    EvidenceError::Invalid(changed(first.unwrap_or_else(|| file.len().min(written.len()))))
}

/// Where the parser stopped.
fn offset(file: &[u8], error: &serde_json::Error) -> usize {
    let lines = error.line().saturating_sub(1);
    let before: usize = file.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(file.len())
}
