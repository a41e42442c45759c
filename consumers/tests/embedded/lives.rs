//! What a stop and a start leave behind.

use pledger_domain::rejection::Rejection;
use pledger_ledger::slices::Position;

use crate::{
    running::{deal, publish},
    starting::start,
};

#[test]
fn snapshots_that_are_lost_are_kept_anew_at_the_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = start(dir.path());
    let first = running.accept("PublishRules", publish(), "rules");
    running.stop();
    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("snapshots are only a convenience");
    // Although nothing is decided.
    start(dir.path()).stop();
    let kept = std::fs::read_dir(dir.path().join("snapshots")).expect("a folder").count();
    assert!(kept > 1, "{kept} snapshots");
    assert_eq!(start(dir.path()).accept("PublishRules", publish(), "rules").position, first.position);
}

/// In a cluster it stays in its topic, and whoever comes next decides it.
#[test]
fn whoever_waits_for_facts_is_answered_when_the_processor_stops() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = start(dir.path());
    running.with_partners();
    let item = ("RegisterDeal", deal("d-1", "p-1", "acme.com"), "k-1");
    let parked = running.prepare(item, |incoming| incoming.after = vec![Position { slice: 0, pseq: 9_999 }]).expect("a command");
    let waiting = running.submission(vec![parked]);
    running.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let answer = runtime.block_on(waiting).remove(0).expect("decided");
    assert_eq!(answer.outcome.expect_err("refused"), Rejection::FactsBehind {});
}
