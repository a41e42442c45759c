//! What SQL reads of the read models: views of the same names in SQLite and in PostgreSQL, and their documentation.

pub mod document;
pub mod joined;

use std::{collections::BTreeMap, sync::LazyLock};

use pledger_domain::values::Currency;

use crate::cell::CellKind;

/// A database that shows the read models, by what it writes in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: amounts in whole units, times and days in types of their own.
    Postgres,
    /// SQLite: whole numbers.
    Sqlite,
}

impl Dialect {
    /// What stands before a view's name; `{}` stands for PostgreSQL's schema.
    pub(crate) const fn schema(self) -> &'static str {
        match self {
            Self::Postgres => "{}.",
            Self::Sqlite => "",
        }
    }

    /// The month of a time, in UTC.
    pub(crate) fn month_at(self, time: &str) -> String {
        match self {
            Self::Postgres => format!("date_trunc('month', ({time}) AT TIME ZONE 'UTC')::date"),
            Self::Sqlite => sqlite_month(&format!("({time}) / 1000000")),
        }
    }

    /// The month of a day.
    pub(crate) fn month_of(self, day: &str) -> String {
        match self {
            Self::Postgres => format!("date_trunc('month', {day})::date"),
            Self::Sqlite => sqlite_month(&format!("{day} * 86400")),
        }
    }

    /// The day of a time, in UTC.
    pub(crate) fn day_at(self, time: &str) -> String {
        match self {
            Self::Postgres => format!("({time} AT TIME ZONE 'UTC')::date"),
            Self::Sqlite => format!("{time} / 86400000000"),
        }
    }

    /// A whole number.
    pub(crate) fn whole(self, number: &str) -> String {
        match self {
            Self::Postgres => format!("({number})::bigint"),
            Self::Sqlite => number.to_owned(),
        }
    }

    /// The present.
    pub(crate) const fn now(self) -> &'static str {
        match self {
            Self::Postgres => "now()",
            Self::Sqlite => "(unixepoch() * 1000000)",
        }
    }

    /// Texts in the order of their bytes.
    pub(crate) const fn by_bytes(self) -> &'static str {
        match self {
            Self::Postgres => "COLLATE \"C\"",
            Self::Sqlite => "COLLATE BINARY",
        }
    }
}

/// The month of so many seconds since 1970, as months are kept.
fn sqlite_month(seconds: &str) -> String {
    format!("(strftime('%Y', {seconds}, 'unixepoch') * 12 + strftime('%m', {seconds}, 'unixepoch') - 1)")
}

/// What a minor unit of the row's `currency` is worth in the currency, as an expression of SQL.
pub(crate) fn minor_unit() -> &'static str {
    &MINOR_UNIT
}

static MINOR_UNIT: LazyLock<String> = LazyLock::new(|| {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| String::from_iter([a, b, c]))));
    let mut by_digits: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for currency in codes.filter_map(|code| Currency::parse(&code).ok()).filter(|currency| currency.digits() != 2) {
        by_digits.entry(currency.digits()).or_default().push(format!("'{}'", currency.code()));
    }
    let unit = |digits: u32| if digits == 0 { "1".to_owned() } else { format!("0.{:0>1$}", 1, digits as usize) };
    let cases: Vec<_> =
        by_digits.iter().map(|(digits, codes)| format!("WHEN currency IN ({}) THEN {}", codes.join(", "), unit(*digits))).collect();
    format!("CASE {} ELSE {} END", cases.join(" "), unit(2))
});

/// The type that PostgreSQL shows a column in.
#[must_use]
pub const fn postgres_type(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Count => "bigint",
        CellKind::Money | CellKind::Weight => "numeric",
        CellKind::Flag => "boolean",
        CellKind::Time => "timestamptz",
        CellKind::Day | CellKind::Month => "date",
        CellKind::Text | CellKind::Place => "text",
        CellKind::Json => "jsonb",
    }
}

/// What SQLite shows of it.
#[must_use]
pub const fn sqlite_unit(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Count => "integer",
        CellKind::Money => "integer, minor units of `currency`",
        CellKind::Weight => "integer, units of 10^-12",
        CellKind::Flag => "1 or 0",
        CellKind::Time => "integer, microseconds since 1970",
        CellKind::Day => "integer, days since 1970-01-01",
        CellKind::Month => "integer, year * 12 + month - 1",
        CellKind::Text => "text",
        CellKind::Place => "text, `slice:pseq`",
        CellKind::Json => "text, JSON",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pledger_domain::{
        cost::{CostEvent, CostKind},
        partner::PartnerEvent,
        values::{CostId, PartnerId, Period},
    };
    use pledger_ledger::record::{Events, Outcome};
    use sqlx::{Column, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

    use super::{joined::JOINED, *};
    use crate::{
        asked::{ask, by, lines},
        engine::{Engine, Options},
        given::{Given, Ledger, approved, registered, usd, won},
        given_partners::{certified, joined, partner, tier},
    };

    fn history() -> Ledger {
        let deal = |account: &str, deal: &str, partner: &str, closed: &str| {
            let events = vec![registered(deal, partner, "GTX", "50.00"), approved(deal), won(deal, "50.25", closed)];
            Given::account(account, "2026-01-10", events)
        };
        let cost = CostEvent::ProgramCostRecorded {
            cost_id: CostId::parse("c1").expect("an id"),
            kind: CostKind::Staff,
            amount: usd("10.10"),
            partner_id: PartnerId::parse("p1").ok(),
            period: Period::parse("2026-03").expect("a period"),
            claim_id: None,
            payout_id: None,
        };
        let open = Given::account("acme.com", "2026-02-11", vec![registered("d4", "p2", "Pro", "1.00")]);
        let cost = Given::new("cost/p1", "2026-03-31", Outcome::Accepted(Events::Cost(vec![cost].into())));
        let promoted = partner("p1", "2026-01-31", PartnerEvent::TierPromoted { from: None, to: tier("gold") });
        let deals = [deal("acme.com", "d1", "p1", "2026-03-31T23:59:59Z"), deal("umbrella.com", "d2", "p2", "2026-04-01")];
        let long = certified("ann", "2026-01-01", "2199-01-01");
        Ledger::with([joined("p1"), joined("p2"), promoted, long].into_iter().chain(deals).chain([open, cost]))
    }

    /// Rows of SQLite's file, their cells as text.
    fn rows(connection: &mut SqliteConnection, runtime: &tokio::runtime::Runtime, sql: &'static str) -> Vec<String> {
        let rows = runtime.block_on(sqlx::query_scalar::<_, String>(sql).fetch_all(connection));
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    #[test]
    fn sqlite_shows_the_figures_that_pledger_answers_with() {
        let (data, ledger) = (tempfile::tempdir().expect("a directory"), history());
        let engine = Engine::open(data.path(), Arc::new(ledger.clone()), Options::default()).expect("it starts");
        assert!(engine.wait_until_caught_up(std::time::Duration::from_secs(20), |_| {}));
        engine.stop();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let file = SqliteConnectOptions::new().filename(data.path().join("projections/1/read.db"));
        let mut connection = runtime.block_on(SqliteConnection::connect_with(&file)).expect("it opens");
        for view in JOINED {
            let sql = sqlx::AssertSqlSafe(format!("SELECT * FROM \"{}\" LIMIT 1", view.name));
            let row = runtime.block_on(sqlx::query(sql).fetch_optional(&mut connection)).expect(view.name);
            let documented: Vec<_> = view.columns.iter().map(|(name, ..)| *name).collect();
            if let Some(row) = row {
                assert_eq!(row.columns().iter().map(Column::name).collect::<Vec<_>>(), documented, "{}", view.name);
            }
        }
        // 2026-03 is 24,314: year * 12 + month - 1.
        let pipeline = "SELECT partner || ' ' || status || ' ' || printf('%d-%02d', month / 12, month % 12 + 1) || ' ' || sum(count) || ' ' || \
                        printf('%.2f', sum(amount) / 100.0) FROM pipeline GROUP BY partner, status, month ORDER BY 1";
        let mut told =
            lines(&ask(&ledger, "pipeline", &by(&["partner", "status", "month"], &[])), &["partner", "status", "month", "count", "amount"]);
        told.sort();
        assert_eq!(rows(&mut connection, &runtime, pipeline), told);
        let returns = "SELECT partner || ' ' || printf('%d-%02d', month / 12, month % 12 + 1) || ' ' || printf('%.2f', revenue / 100.0) || ' ' || \
                       printf('%.2f', coalesce(staff, 0) / 100.0) FROM ropi ORDER BY 1";
        let told = lines(&ask(&ledger, "ropi", &by(&["partner", "month"], &[])), &["partner", "month", "revenue", "staff"]);
        assert_eq!(rows(&mut connection, &runtime, returns), told);
        let tiers = "SELECT partner || ' ' || coalesce(tier, '-') || ' ' || active_certifications FROM tiers ORDER BY 1";
        assert_eq!(rows(&mut connection, &runtime, tiers), ["p1 gold 1", "p2 - 0"]);
    }

    #[test]
    fn minor_units_are_those_of_the_standard() {
        for part in ["'JPY'", "THEN 1 ", "'BHD'", "THEN 0.001", "'UYW') THEN 0.0001", "ELSE 0.01 END"] {
            assert!(minor_unit().contains(part), "{part} in {}", minor_unit());
        }
    }
}
