//! `pledger conflicts`: who wanted what, and what was decided.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use pledger_projections::query::find_view;

use crate::{
    cluster::PlaceFlags,
    connection::{Ask, Connection, encode},
    context::Context,
    output,
    verbs::{
        items::{ColumnFlags, tell},
        moment::Times,
    },
};

/// Show channel conflicts, and the decisions that made them
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pledger conflicts --open\n  pledger conflicts --account acme.com --json\n  pledger conflicts --kafka broker-1:9092 --postgres postgres://pledger@db/prm"
)]
pub(crate) struct Conflicts {
    /// Only those that nobody has ruled on
    #[arg(long)]
    open: bool,
    /// Only on this account
    #[arg(long, value_name = "KEY")]
    account: Option<String>,
    /// Only those in which this partner takes part
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    /// Only those for this product, however it is written
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// The most conflicts
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Go on where the last page ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    place: PlaceFlags,
}

impl Conflicts {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let view = find_view("conflicts")?;
        self.columns.check(view, !context.json)?;
        let mut path = format!("/v1/conflicts?limit={}", self.limit);
        if self.open {
            path.push_str("&status=open");
        }
        for (name, value) in [("account", &self.account), ("partner", &self.partner), ("product", &self.product), ("cursor", &self.cursor)]
        {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        for parameter in self.times.parameters()? {
            path.push_str(&format!("&{parameter}"));
        }
        let connection = Connection::to_read_at(&self.place, context)?;
        let answer = connection.ask(Ask::get(path));
        connection.close();
        let document = answer?.success()?;
        if context.json {
            output::print_json(&document)?
        } else {
            tell(view, &document, &self.columns)?
        }
        Ok(ExitCode::SUCCESS)
    }
}
