//! The ledger's signing key: an Ed25519 key in a file of its own, made when it is first needed.

use std::{
    fmt,
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    str::FromStr,
};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{
    EvidenceError,
    statement::{hex, read_hex},
};

/// The file in the data directory, readable by its owner only.
pub const KEY_FILE: &str = "signing.key";

/// Signs what a ledger states.
pub struct LedgerKey(SigningKey);

/// Says whose statement it is: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl LedgerKey {
    /// The key of a data directory; a new one where there is none yet.
    ///
    /// # Errors
    /// `EvidenceError::Key`.
    pub fn open_or_create(data_dir: &Path) -> Result<Self, EvidenceError> {
        let path = data_dir.join(KEY_FILE);
        let failed = |reason: String| EvidenceError::Key { path: path.display().to_string(), reason };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                let mut seed = Zeroizing::new([0_u8; 32]);
                getrandom::fill(&mut *seed).map_err(|error| failed(error.to_string()))?;
                let written = file.write_all(hex(&*seed).as_bytes()).and_then(|()| file.sync_all());
                written.map_err(|error| failed(error.to_string()))?;
                Ok(Self(SigningKey::from_bytes(&seed)))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?);
                let seed = read_hex(text.trim()).ok_or_else(|| failed("it does not hold 64 hexadecimal digits".to_owned()))?;
                Ok(Self(SigningKey::from_bytes(&seed)))
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// The key that this seed makes.
    #[cfg(feature = "postgres")]
    pub(super) fn of_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What others know it by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The signature of a statement, in hexadecimal digits.
    pub(super) fn sign(&self, statement: &[u8]) -> String {
        hex(&self.0.sign(statement).to_bytes())
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerKey({})", self.public())
    }
}

impl PublicKey {
    /// Whether the key signed this.
    pub(super) fn signed(&self, statement: &[u8], signature: &str) -> bool {
        let signature = read_hex(signature).map(|bytes| Signature::from_bytes(&bytes));
        let key = VerifyingKey::from_bytes(&self.0).ok();
        key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(statement, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = read_hex(text).ok_or_else(|| format!("{text:?} is no public key: 64 hexadecimal digits"))?;
        VerifyingKey::from_bytes(&bytes).map(|_| Self(bytes)).map_err(|_| format!("{text:?} is no Ed25519 key"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = LedgerKey::open_or_create(dir.path()).expect("made");
        let again = LedgerKey::open_or_create(dir.path()).expect("read");
        assert_eq!(key.public(), again.public());
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{key:?}").contains(&std::fs::read_to_string(dir.path().join(KEY_FILE)).expect("readable")));
        std::fs::write(dir.path().join(KEY_FILE), "something else").expect("written");
        assert!(matches!(LedgerKey::open_or_create(dir.path()), Err(EvidenceError::Key { .. })));
    }

    #[test]
    fn a_signature_is_of_its_statement_and_its_key() {
        let [one, other] = [[1; 32], [2; 32]].map(|seed| LedgerKey(SigningKey::from_bytes(&seed)));
        let signature = one.sign(b"so it is");
        assert!(one.public().signed(b"so it is", &signature));
        assert!(!one.public().signed(b"so it was", &signature));
        assert!(!other.public().signed(b"so it is", &signature));
        assert_eq!(one.public().to_string().parse(), Ok(one.public()));
        assert!("00".parse::<PublicKey>().is_err());
    }
}
