//! The signing key of a cluster, in its database: every process signs with the same.

use zeroize::Zeroizing;

use super::{EvidenceError, LedgerKey};
use crate::postgres::PostgresOptions;

impl LedgerKey {
    /// The key in the database; a new one where there is none yet.
    ///
    /// # Errors
    /// `EvidenceError::Key`.
    pub fn open_or_create_in(options: &PostgresOptions) -> Result<Self, EvidenceError> {
        let failed = |reason: String| EvidenceError::Key { path: format!("in {options}"), reason };
        let mut new = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *new).map_err(|error| failed(error.to_string()))?;
        let kept = options.decided("signing_key", ("seed", "bytea"), new.to_vec());
        let kept = Zeroizing::new(kept.map_err(|error| failed(error.to_string()))?);
        let seed: &[u8; 32] = kept.as_slice().try_into().map_err(|_| failed("it is cut".to_owned()))?;
        Ok(Self::of_seed(seed))
    }
}
