//! Waiting for read models that were just opened to reach the ledger's end.

use std::time::{Duration, Instant};

use pledger_projections::engine::Engine;

use crate::output;

/// How long it may take to fold a ledger.
const FOLDING: Duration = Duration::from_secs(3_600);
/// How often to look.
const LOOK: Duration = Duration::from_millis(100);
/// How long nothing may be taken in, once something keeps it from going on.
const STANDING: Duration = Duration::from_secs(2);

/// Waits until the read models have reached the ledger's end, with a bar where that takes long.
///
/// # Errors
/// What keeps them from it, in words.
pub(crate) fn to_the_end(engine: &Engine) -> Result<(), String> {
    if engine.wait_until_caught_up(LOOK, |_| {}) {
        return Ok(());
    }
    let progress = output::progress("folding", engine.lag().map_err(|error| error.to_string())?);
    let (begun, mut moved) = (Instant::now(), (0, Instant::now()));
    while !engine.wait_until_caught_up(LOOK, |_| {}) {
        let status = engine.status();
        progress.set_position(status.taken_in);
        if status.taken_in != moved.0 {
            moved = (status.taken_in, Instant::now());
        }
        let is_stuck = status.trouble.is_some() && moved.1.elapsed() > STANDING;
        if is_stuck || begun.elapsed() > FOLDING {
            progress.finish_and_clear();
            return Err(status.trouble.unwrap_or_else(|| "it took too long".to_owned()));
        }
    }
    progress.finish_and_clear();
    Ok(())
}
