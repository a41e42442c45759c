//! `pledger dead-letters`: what services sent and nobody could make a command of.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use pledger_ledger::inbox::Place;

use crate::{
    cluster::{self, ClusterFlags},
    context::{Context, Usage},
};

/// List, show, retry or discard what became no command
///
/// An event that a rule refuses is a decision, and no letter; what is sent to POST /v1/events is answered at once, and is none
/// either.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  pledger dead-letters list --kafka broker-1:9092
  pledger dead-letters list --code UnknownId --source /billing --json
  pledger dead-letters show 3-17
  pledger dead-letters retry 3-17
  pledger dead-letters discard 3-17 --reason \"a test of the portal\"

PLEDGER_KAFKA, PLEDGER_TOPIC_PREFIX and PLEDGER_KAFKA_CONFIG name the cluster as the flags do.")]
pub(crate) enum DeadLetters {
    /// Letters that nothing was done about yet, the newest first
    List {
        #[command(flatten)]
        cluster: ClusterFlags,
        #[command(flatten)]
        filters: Filters,
    },
    /// One letter: why, its headers and its bytes
    Show {
        /// Its id, as list shows it
        id: Place,
        /// Write the original value to stdout, byte for byte, and nothing else
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Put the original message back to the inbox, once
    Retry {
        /// Its id, as list shows it
        id: Place,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Say that nothing will be done about it
    Discard {
        /// Its id, as list shows it
        id: Place,
        /// Why; kept with the letter
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
}

/// Which letters to list.
#[derive(Args)]
pub(crate) struct Filters {
    /// Those that were retried or discarded, too
    #[arg(long)]
    all: bool,
    /// Only with this reason, such as UnknownId
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only of this type, such as pledger.RegisterDeal
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// The most letters
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}

#[cfg(feature = "kafka")]
impl Filters {
    /// Whether a letter is asked for, by its document.
    pub(crate) fn match_letter(&self, letter: &serde_json::Value) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| letter[name].as_str() == Some(wanted));
        (self.all || letter["status"] == "open") && is(&self.code, "code") && is(&self.kind, "type") && is(&self.source, "source")
    }
}

/// What is asked.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only the engine does it"))]
pub(crate) enum Action {
    List(Filters),
    Show { id: Place, raw: bool },
    Retry { id: Place },
    Discard { id: Place, reason: String },
}

impl DeadLetters {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let (flags, action) = match self {
            Self::List { cluster, filters } => (cluster, Action::List(filters)),
            Self::Show { id, raw, cluster } => (cluster, Action::Show { id, raw }),
            Self::Retry { id, cluster } => (cluster, Action::Retry { id }),
            Self::Discard { id, reason, cluster } => (cluster, Action::Discard { id, reason }),
        };
        let none = || Usage("dead letters are kept in Kafka: name it with --kafka BROKERS or PLEDGER_KAFKA".into());
        cluster::dead_letters(&flags.cluster(context)?.ok_or_else(none)?, action, context)
    }
}
