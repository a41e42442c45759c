//! What SQL shows of SQLite's file is what pledger answers with.

use std::{sync::Arc, thread, time::Duration};

use pledger_projections::{
    engine::Engine,
    query::{Item, Query},
};
use serde_json::Value;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    cases::journeys,
    given::Ledger,
    keeping::{LONG, options},
};

/// A credit: what tells it from others, its weight in units of 10^-12, and its money in cents.
type Credit = (Vec<String>, i64, i64);

fn credit(item: &Item) -> Credit {
    let field = |name: &str| item.0.iter().find(|(known, _)| *known == name).map_or(&Value::Null, |(_, value)| value);
    let names = ["deal", "account", "partner", "channel", "model", "quarter", "currency", "standing"];
    let text = |name: &str| field(name).as_str().unwrap_or("-").to_owned();
    let units = |text: &str, places: usize| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{part:0<places$}").parse().expect("a number")
    };
    let money = field("credited")["amount"].as_str().expect("an amount");
    (names.map(text).to_vec(), units(&text("weight"), 12), units(money, 2))
}

pub(crate) fn credits_are_those_that_pledger_answers_with() {
    let data = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(data.path(), Arc::new(Ledger::with(journeys())), options(2)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| thread::sleep(Duration::from_millis(1))));
    let page = engine.query("attribution", &Query::default()).expect("credits");
    engine.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let sql = "SELECT deal, account, coalesce(partner, '-'), coalesce(channel, '-'), model, printf('%d-Q%d', quarter / 12, quarter % 12 / 3 + 1), \
               currency, standing, weight, credited FROM attribution";
    let rows = runtime.block_on(async {
        let file = SqliteConnectOptions::new().filename(data.path().join("projections/1/read.db"));
        let mut connection = SqliteConnection::connect_with(&file).await.expect("it opens");
        sqlx::query(sql).fetch_all(&mut connection).await.expect("rows")
    });
    let shown = |row: &sqlx::sqlite::SqliteRow| -> Credit { ((0..8).map(|at| row.get(at)).collect(), row.get(8), row.get(9)) };
    let (mut shown, mut answered): (Vec<Credit>, Vec<Credit>) = (rows.iter().map(shown).collect(), page.items.iter().map(credit).collect());
    shown.sort();
    answered.sort();
    assert_eq!((shown.len(), answered.len() > 900), (answered.len(), true));
    for (shown, answered) in shown.iter().zip(&answered) {
        let last_digit = i64::from(answered.0[4] == "time_decay");
        assert_eq!((&shown.0, shown.2), (&answered.0, answered.2));
        assert!(shown.1.abs_diff(answered.1) <= last_digit.unsigned_abs(), "{shown:?} {answered:?}");
    }
}
