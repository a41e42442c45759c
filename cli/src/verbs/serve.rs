//! `pledger serve`: the ledger behind HTTP, that of a directory or that of a cluster.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{
    cluster::{self, ClusterFlags, Joining},
    context::Context,
    front::Front,
    served::{Served, serve_until_signalled},
    serving::Assembly,
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
                self.joining.unused(context)?;
                serve(Assembly::open(&context.data_dir)?, context, listen)
            }
        }
    }
}

/// Serves the ledger of a directory until a signal comes.
pub(crate) fn serve(assembly: Assembly, context: &Context, listen: SocketAddr) -> Result<ExitCode> {
    let generated = assembly.node().is_some_and(|node| node.log.created().generated.is_some());
    let label = format!("{}{}", context.data_dir.display(), if generated { " (a generated history)" } else { "" });
    serve_until_signalled(Served::Api(Box::new(assembly)), &context.data_dir, &label, Front::bind(listen)?).map(|()| ExitCode::SUCCESS)
}
