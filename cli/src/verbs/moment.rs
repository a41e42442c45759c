//! `--as-of` and `--known-at`, of every verb that answers from history.

use anyhow::{Result, bail};
use clap::Args;
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    edge::{Clock, SystemClock},
    record::LedgerCreated,
};
use pledger_projections::engine::Moment;

use crate::{connection::encode, context::Usage};

/// The two times of a question.
#[derive(Args)]
pub(crate) struct Times {
    /// What was true in the business by then: RFC 3339, or a date for its end; rules and costs say themselves from when
    #[arg(long, value_name = "T")]
    as_of: Option<String>,
    /// What the ledger had recorded by then
    #[arg(long, value_name = "T")]
    known_at: Option<String>,
}

impl Times {
    /// The moment, read here.
    pub(crate) fn moment(&self) -> Result<Moment> {
        Ok(Moment { as_of: read("--as-of", self.as_of.as_deref())?, known_at: read("--known-at", self.known_at.as_deref())? })
    }

    /// What stands before the instant that standing questions are asked at.
    pub(crate) fn moment_words(&self) -> Result<String> {
        let Moment { as_of, known_at } = self.moment()?;
        Ok(match (as_of, known_at) {
            (None, None) => "now, at ".to_owned(),
            (None, Some(_)) => "as known at ".to_owned(),
            (Some(_), None) => "as of ".to_owned(),
            (Some(_), Some(known_at)) => format!("as known at {known_at}, as of "),
        })
    }

    /// The moment as query parameters, checked.
    pub(crate) fn parameters(&self) -> Result<Vec<String>> {
        self.moment()?;
        let given = [("as_of", &self.as_of), ("known_at", &self.known_at)];
        Ok(given.iter().filter_map(|(name, time)| time.as_ref().map(|time| format!("{name}={}", encode(time)))).collect())
    }
}

/// Whether a ledger that is read where it lies knew anything by then. Of a day that is yet to come it knows what it knows now, which
/// is said.
pub(crate) fn within(moment: Moment, created: &LedgerCreated) -> Result<()> {
    let Some(known_at) = moment.known_at else { return Ok(()) };
    if known_at < created.created_at {
        bail!("--known-at {known_at}: the ledger was begun later, at {}", created.created_at);
    }
    // A generated history has a present of its own.
    let now = SystemClock::new().now();
    let now = created.generated.as_ref().map_or(now, |generated| generated.ends_at.max(now));
    if known_at.day() > now.day() {
        eprintln!("Warning: --known-at {known_at} lies in the future: the answer is what is known now");
    }
    Ok(())
}

fn read(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>> {
    let expected = "expected a time like 2026-03-31T18:00:00Z or a date like 2026-03-31";
    text.map(Moment::parse_time).transpose().map_err(|error| Usage(format!("{flag}: {error}; {expected}")).into())
}
