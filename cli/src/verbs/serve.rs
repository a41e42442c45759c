//! `pledger serve`: the ledger behind HTTP, that of a directory or that of a cluster.

use std::{net::SocketAddr, path::Path, process::ExitCode};

use anyhow::Result;
use clap::Args;
#[cfg(feature = "kafka")]
use pledger_command_api::Operations;
use pledger_consumers::policies::LOOK_EVERY;

use crate::{
    cluster::{self, ClusterFlags, Joining},
    context::Context,
    front::{Front, signalled},
    node::Node,
    output,
    serving::{Announcement, Assembly},
};

/// Serve the ledger over HTTP: commands, questions, metrics
#[derive(Args)]
#[command(after_help = "Examples:
  pledger serve
  pledger serve --data-dir ./acme-program --listen 127.0.0.1:8080
  pledger serve --kafka broker-1:9092,broker-2:9092 --postgres postgres://pledger@db/prm
  pledger serve --kafka broker-1:9092,broker-2:9092 --postgres postgres://pledger@db/prm --roles processor

Creates a ledger where there is none. Other verbs find the server by its data directory.
While it runs, policies complete retirements and evaluate tiers after each quarter; other verbs run none.
Of several processes of a cluster that have the role projections one keeps the read models in the database; the others answer from
memory, and one takes over when it is gone. Without a database all is in the directory, and only one process may take commands.
Kafka and the database may come later: until then it is alive and not ready, and says what it waits for.
Stops in order on Ctrl-C and SIGTERM: what was accepted is answered, then everything is closed.")]
pub(crate) struct Serve {
    /// The address to serve on [default: 127.0.0.1:7400]
    #[arg(long, env = "PLEDGER_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    joining: Joining,
}

impl Serve {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let listen = context.listen(self.listen);
        match self.cluster.cluster(context)? {
            Some(cluster) => cluster::serve(&cluster, &self.joining.completed(context)?, context, listen),
            None => {
                self.joining.unused()?;
                serve(Assembly::open(&context.data_dir)?, context, listen)
            }
        }
    }
}

/// What is served.
pub(crate) enum Served {
    /// Commands and questions.
    Api(Box<Assembly>),
    /// Only what is watched; the read models are kept, and policies act.
    #[cfg(feature = "kafka")]
    Folding(Box<Assembly>),
    /// Only what is watched.
    #[cfg(feature = "kafka")]
    Watched(Operations),
}

/// Serves the ledger of a directory until a signal comes.
pub(crate) fn serve(assembly: Assembly, context: &Context, listen: SocketAddr) -> Result<ExitCode> {
    let generated = assembly.node().is_some_and(|node| node.log.created().generated.is_some());
    let label = format!("{}{}", context.data_dir.display(), if generated { " (a generated history)" } else { "" });
    serve_until_signalled(Served::Api(Box::new(assembly)), &context.data_dir, &label, Front::bind(listen)?).map(|()| ExitCode::SUCCESS)
}

/// Serves until a signal comes, and closes what is served.
pub(crate) fn serve_until_signalled(mut served: Served, data_dir: &Path, label: &str, front: Front) -> Result<()> {
    let url = front.url.clone();
    let outcome = front.serve(async |listener| {
        match &mut served {
            Served::Api(assembly) => {
                let announcement = Announcement { url: url.clone(), pid: std::process::id(), token: assembly.token().to_owned() };
                announcement.write(data_dir)?;
                // Nobody has to read it: a server goes on behind a closed pipe.
                if let Err(error) = say(&url, label) {
                    tracing::debug!(%error, "stdout is closed");
                }
                assembly.node().map(Node::verify_behind);
                assembly.start_policies(LOOK_EVERY)?;
                pledger_command_api::serve(listener, assembly.state(), stopping()).await?;
            }
            #[cfg(feature = "kafka")]
            Served::Folding(assembly) => {
                say_watched(&url, label);
                assembly.start_policies(LOOK_EVERY)?;
                pledger_command_api::serve_operations(listener, Operations::of(&assembly.state()), stopping()).await?;
            }
            #[cfg(feature = "kafka")]
            Served::Watched(operations) => {
                say_watched(&url, label);
                pledger_command_api::serve_operations(listener, operations.clone(), stopping()).await?;
            }
        }
        Ok(())
    });
    match served {
        Served::Api(assembly) => {
            Announcement::remove(data_dir);
            assembly.stop();
        }
        #[cfg(feature = "kafka")]
        Served::Folding(assembly) => assembly.stop(),
        #[cfg(feature = "kafka")]
        Served::Watched(_) => {}
    }
    outcome
}

fn say(url: &str, label: &str) -> Result<()> {
    output::print(format!(
        "\nServing {label} on {url} - stop with Ctrl-C. Try:\n  {url}/\n  {url}/v1/pipeline?by=region,status\n  {url}/v1/tiers\n  {url}/v1/conflicts?status=open\n  {url}/v1/openapi.json\n  curl -s {url}/v1/deals -H 'Accept: text/csv'"
    ))
}

/// A process without an API.
#[cfg(feature = "kafka")]
fn say_watched(url: &str, label: &str) {
    let said = output::print(format!("\nWorking on {label} - stop with Ctrl-C. Watch it at:\n  {url}/readyz\n  {url}/metrics"));
    if let Err(error) = said {
        tracing::debug!(%error, "stdout is closed");
    }
}

/// Ends at Ctrl-C or SIGTERM.
async fn stopping() {
    signalled().await;
    eprintln!("\nStopping: no new requests are taken, and those in progress are waited for; Ctrl-C again ends at once.");
}
