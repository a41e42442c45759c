//! `pledger evidence`: decisions with their proof, and the check of such a bundle, without a ledger.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use pledger_command_api::About;
use pledger_domain::{
    stream::StreamName,
    values::{AccountKey, DealId},
};
use pledger_ledger::{
    evidence::{self, Confirmed, EvidenceError, LedgerKey, MAX_BUNDLE_LEN, PublicKey},
    record::{Body, Decision},
};
use pledger_projections::explain::UnknownKey;
use serde_json::{Value, json};

use crate::{
    cluster::{self, PlaceFlags},
    context::{Context, Usage},
    ledger::{Ledger, ends},
    output,
    verbs::{
        replay,
        selected::{Selected, Survey, names},
    },
};

/// What is read of a file to see whether it may be evidence, in bytes.
const BEGINNING_LEN: u64 = 256;

/// Write decisions with the proof that they are in the ledger, or verify such a file
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  pledger evidence --account acme.com --out acme.evidence
  pledger evidence verify acme.evidence --key 5f1c...     offline: no ledger is needed
  pledger evidence --deal d-1 --out d-1.evidence --kafka broker-1:9092 --postgres postgres://pledger@db/prm

The file holds every decision about the account or deal, the rules that they name, and a statement signed with the
ledger's key, which a cluster keeps in its database. Tell others the public key on another way than the file; one changed byte and it verifies no more."
)]
pub(crate) struct Evidence {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Everything about this account
    #[arg(long, value_name = "A", group = "selection")]
    account: Option<String>,
    /// Everything about this deal
    #[arg(long, value_name = "D", group = "selection")]
    deal: Option<String>,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Verify a file of evidence, without the ledger
#[derive(Args)]
struct Verify {
    /// The file
    file: PathBuf,
    /// The public key of the ledger that it has to be of
    #[arg(long, value_name = "KEY", value_parser = |text: &str| text.to_ascii_lowercase().parse::<PublicKey>())]
    key: Option<PublicKey>,
}

impl Evidence {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.verb {
            Some(Verb::Verify(verb)) => verb.run(context),
            None => self.write(context),
        }
    }

    fn write(&self, context: &Context) -> Result<ExitCode> {
        let usage = |text: String| anyhow::Error::from(Usage(text));
        let out = self.out.as_ref().ok_or_else(|| usage("--out FILE is needed".to_owned()))?;
        let about = match (&self.account, &self.deal) {
            (Some(account), _) => About::Account(AccountKey::parse(account).map_err(|error| usage(format!("--account {error}")))?),
            (None, Some(deal)) => About::Deal(DealId::parse(deal).map_err(|error| usage(format!("--deal {error}")))?),
            (None, None) => return Err(usage("--account A or --deal D is needed".to_owned())),
        };
        let ledger = Ledger::open(&self.place.cluster, context)?;
        let log = &ledger.log;
        let progress = output::progress("evidence", ends(&**log)?);
        std::fs::create_dir_all(&context.data_dir).with_context(|| format!("{} cannot be made", context.data_dir.display()))?;
        let key = match self.place.cluster(context)? {
            Some(_) => cluster::key(&self.place.postgres, context)?,
            None => LedgerKey::open_or_create(&context.data_dir)?,
        };
        let bundle = bundle(&ledger, &key, &about, &mut |read| progress.inc(read));
        progress.finish_and_clear();
        let bundle = bundle.map_err(|error| match unknown(&ledger, &about, &error) {
            Some(unknown) => anyhow!("the ledger has {unknown}"),
            None => error.into(),
        })?;
        let confirmed = evidence::verify(&bundle, Some(key.public()))?;
        output::to_file(out, |file| Ok(file.write_all(&bundle)?))?;
        eprintln!("Wrote {} decisions to {}.\nThe ledger's public key:", confirmed.records.len(), out.display());
        output::print(key.public().to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The evidence about something, signed.
pub(crate) fn bundle(ledger: &Ledger, key: &LedgerKey, about: &About, tell: &mut dyn FnMut(u64)) -> Result<Vec<u8>, EvidenceError> {
    let Ledger { log, created } = ledger;
    let mut make = |about: &str, is_about: &mut dyn FnMut(&Decision<'_>) -> bool| {
        evidence::make(&**log, &created.ledger_id, about, key, MAX_BUNDLE_LEN, is_about, tell)
    };
    match about {
        About::Account(account) => {
            let stream = StreamName::account(account);
            make(&stream.to_string(), &mut |decision| decision.stream == stream)
        }
        About::Deal(deal) => make(&format!("deal/{deal}"), &mut |decision| names(decision, deal.as_str())),
    }
}

/// What there is near an account or a deal that there is no evidence about.
pub(crate) fn unknown(ledger: &Ledger, about: &About, error: &EvidenceError) -> Option<UnknownKey> {
    let EvidenceError::Nothing(_) = error else { return None };
    let selected = match about {
        About::Account(account) => Selected::Account(StreamName::account(account)),
        About::Deal(deal) => Selected::Deal(deal.clone()),
    };
    Survey::of(&*ledger.log, &selected).ok()?.unknown
}

impl Verify {
    fn run(self, context: &Context) -> Result<ExitCode> {
        match read(&self.file)?.and_then(|file| evidence::verify(&file, self.key)) {
            Ok(confirmed) if context.json => output::print_json(&document(&confirmed)?)?,
            Ok(confirmed) => tell(&confirmed, self.key.is_some())?,
            Err(error @ (EvidenceError::Invalid(_) | EvidenceError::OtherKey { .. })) => {
                if context.json {
                    output::print_json(&json!({"valid": false, "problem": error.to_string()}))?;
                }
                eprintln!("{}: {error}", self.file.display());
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What may be a bundle, of a length that can be checked; of anything else only the beginning is read.
fn read(path: &Path) -> Result<Result<Vec<u8>, EvidenceError>> {
    let unread = || format!("{} cannot be read", path.display());
    let mut file = File::open(path).with_context(unread)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(BEGINNING_LEN).read_to_end(&mut bytes).with_context(unread)?;
    if let Err(error) = evidence::check_beginning(&bytes) {
        return Ok(Err(error));
    }
    let rest = MAX_BUNDLE_LEN + 1 - BEGINNING_LEN;
    file.take(rest).read_to_end(&mut bytes).with_context(unread)?;
    if bytes.len() as u64 > MAX_BUNDLE_LEN {
        let reason = format!(
            "it is longer than {} MiB, more than is checked at once. Ask for evidence of a deal instead of a whole account",
            MAX_BUNDLE_LEN >> 20
        );
        return Ok(Err(EvidenceError::Invalid(reason)));
    }
    Ok(Ok(bytes))
}

fn document(confirmed: &Confirmed) -> Result<Value> {
    let decisions: Vec<Value> = confirmed.records.iter().map(replay::line).collect::<Result<_>>()?;
    Ok(json!({
        "valid": true,
        "about": confirmed.about,
        "ledger_id": confirmed.ledger_id,
        "until": confirmed.until,
        "signed_by": confirmed.signed_by.to_string(),
        "decisions": decisions,
    }))
}

fn tell(confirmed: &Confirmed, key_was_given: bool) -> Result<()> {
    let whose = if key_was_given { "signed by the key you named" } else { "signed by" };
    output::print(format!(
        "Valid: {} decisions, all that ledger {} had about {} at {}, {whose} {}.",
        confirmed.records.len(),
        confirmed.ledger_id,
        confirmed.about,
        confirmed.until,
        confirmed.signed_by
    ))?;
    if !key_was_given {
        output::print("Anyone can sign: compare the key with the one that the ledger's keeper names, or check it by --key.")?;
    }
    for record in &confirmed.records {
        if let Body::Decision(decision) = Body::decode(&record.body)? {
            output::print(replay::words(record.position(), &decision))?;
        }
    }
    Ok(())
}
