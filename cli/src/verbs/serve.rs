//! `pledger serve`: the embedded engine behind HTTP.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use pledger_consumers::policies::LOOK_EVERY;
use pledger_ledger::{log::Log, verify};

use crate::{
    context::Context,
    output,
    serving::{Announcement, Assembly},
};

/// Serve the ledger over HTTP: commands, questions, metrics
#[derive(Args)]
#[command(after_help = "Examples:
  pledger serve
  pledger serve --data-dir ./acme-program --listen 127.0.0.1:8080

Creates a ledger where there is none. Other verbs find the server by its data directory.
While it runs, policies complete retirements and evaluate tiers after each quarter; other verbs run none.
Stops in order on Ctrl-C and SIGTERM: what was accepted is answered, then everything is closed.")]
pub(crate) struct Serve {
    /// The address to serve on [default: 127.0.0.1:7400]
    #[arg(long, env = "PLEDGER_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let assembly = Assembly::open(&context.data_dir)?;
        serve(assembly, context, context.listen(self.listen))
    }
}

/// Serves until a signal comes.
pub(crate) fn serve(mut assembly: Assembly, context: &Context, listen: SocketAddr) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("{listen} cannot be listened on; choose another with --listen"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let announcement = Announcement { url: url.clone(), pid: std::process::id(), token: assembly.token().to_owned() };
        announcement.write(&context.data_dir)?;
        // Nobody has to read it: a server goes on behind a closed pipe.
        if let Err(error) = say(&url, &assembly, context) {
            tracing::debug!(%error, "stdout is closed");
        }
        verify_behind(&assembly);
        assembly.start_policies(LOOK_EVERY)?;
        pledger_command_api::serve(listener, assembly.state(), signalled()).await?;
        anyhow::Ok(())
    });
    // Requests that outlived the drain hold on to the parts; they end with the runtime.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Announcement::remove(&context.data_dir);
    assembly.stop();
    served.map(|()| ExitCode::SUCCESS)
}

fn say(url: &str, assembly: &Assembly, context: &Context) -> Result<()> {
    let generated = assembly.node().is_some_and(|node| node.log.created().generated.is_some());
    let label = if generated { " (a generated history)" } else { "" };
    output::print(format!(
        "\nServing {}{label} on {url} - stop with Ctrl-C. Try:\n  {url}/\n  {url}/v1/pipeline?by=region,status\n  {url}/v1/tiers\n  {url}/v1/conflicts?status=open\n  {url}/v1/openapi.json\n  curl -s {url}/v1/deals -H 'Accept: text/csv'",
        context.data_dir.display()
    ))
}

/// Ends at Ctrl-C or SIGTERM.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        drop(tokio::signal::ctrl_c().await);
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("\nStopping: no new requests are taken.");
}

/// Checks the whole chain in the background; what it finds turns the ledger read-only.
fn verify_behind(assembly: &Assembly) {
    let Some(node) = assembly.node() else { return };
    let (log, sink) = (Arc::clone(&node.log), node.sink());
    let verifying = thread::Builder::new().name("verify".into()).spawn(move || {
        let log: Arc<dyn Log> = log;
        if let Err(broken) = verify::verify(&*log, None, &mut |_| {}) {
            tracing::error!(%broken, "the ledger is damaged; no command is taken from here on");
            sink.refuse_writes(broken.to_string());
        }
    });
    if let Err(error) = verifying {
        tracing::warn!(%error, "the ledger could not be checked in the background");
    }
}
