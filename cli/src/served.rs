//! What a process serves until it is told to stop.

use std::path::Path;

use anyhow::Result;
#[cfg(feature = "kafka")]
use pledger_command_api::Operations;
use pledger_consumers::policies::LOOK_EVERY;

use crate::{
    front::{Front, Signalled},
    node::Node,
    output,
    serving::{Announcement, Assembly},
};

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

/// Serves until a signal comes, and closes what is served.
pub(crate) fn serve_until_signalled(mut served: Served, data_dir: &Path, label: &str, front: Front) -> Result<()> {
    let (url, signalled) = (front.url.clone(), front.signalled.clone());
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
                pledger_command_api::serve(listener, assembly.state(), stopping(signalled)).await?;
            }
            #[cfg(feature = "kafka")]
            Served::Folding(assembly) => {
                say_watched(&url, label);
                assembly.start_policies(LOOK_EVERY)?;
                pledger_command_api::serve_operations(listener, Operations::of(&assembly.state()), stopping(signalled)).await?;
            }
            #[cfg(feature = "kafka")]
            Served::Watched(operations) => {
                say_watched(&url, label);
                pledger_command_api::serve_operations(listener, operations.clone(), stopping(signalled)).await?;
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
async fn stopping(signalled: Signalled) {
    signalled.told().await;
    eprintln!("\nStopping: no new requests are taken, and those in progress are waited for; Ctrl-C again ends at once.");
}
