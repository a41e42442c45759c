//! `pledger erase`: destroy a person's key.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::{
    connection::{Ask, Connection, encode},
    context::Context,
    output,
};

/// Destroy a person's key, for ever: every record and proof stays valid, and the person's fields read as erased
#[derive(Args)]
#[command(
    after_help = "Example:\n  pledger erase s-5f0c... --reason \"request of 2026-11-02\"\n\nA server that runs on --data-dir does it, one of a cluster too: for all of its processes.\nBackups made before, of keys.db or of the database, keep the key: destroy them too."
)]
pub(crate) struct Erase {
    /// The person's id, as records show it
    subject: String,
    /// Why; kept with the tombstone
    #[arg(long)]
    reason: String,
}

impl Erase {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let connection = Connection::to_change(context)?;
        let body = json!({"reason": self.reason}).to_string().into_bytes();
        let answer = connection.ask(Ask::post(format!("/v1/persons/{}/erase", encode(&self.subject)), body));
        connection.close();
        let document = answer?.success()?;
        if context.json {
            output::print_json(&document)?;
        } else {
            output::print(format!("Erased {} at {}.", self.subject, output::cell(&document["erased_at"])))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
