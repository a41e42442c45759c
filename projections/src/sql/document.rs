//! `docs/sql-views.md`, from the code.

use super::{joined::JOINED, postgres_type, sqlite_unit};
use crate::{shard::Shard, table::AnyTable};

/// What stands before the views.
const HEAD: &str = "# The read models in SQL

<!-- Written by `PLEDGER_BLESS=1 cargo test -p pledger-projections --lib sql`: edit the code instead. -->

Business intelligence tools read the same rows that pledger answers from. They are for reading only; pledger makes them from
the ledger, and makes them anew when its folds change. A view keeps its name and its columns' meaning; columns are added.

- **PostgreSQL** (`serve --postgres`): views in the schema `pledger`, or the one asked for. Amounts are `numeric` in whole units of
  their currency, times `timestamptz`, months the first day as a `date`. The role `pledger_read` (the schema's name, then `_read`) may
  select from these views and from nothing else: `GRANT pledger_read TO analyst`. It is made where pledger's user may create
  roles; otherwise make it before the first start. The views show one generation of the read models, and change over to the
  next one in a single transaction.
- **SQLite** (one machine): views in `<data>/projections/<generation>/read.db`; the file `current` beside the folders names the
  generation in use. Amounts are whole minor units, times microseconds since 1970, in UTC.

Rows are changed within half a second of the decision, in PostgreSQL within a tenth of one. Every row names the decision that it stands on (`last_position`, as
`slice:pseq`) and the rules that decided. Names of persons are sealed in SQL too: `{\"sealed\": ...}`, or
`{\"erased\": true}` where the name came after the person was erased. One that was sealed before stays `{\"sealed\": ...}` in SQL: its key is gone, and
nobody opens it any more. Pledger itself tells it as `{\"erased\": true}`.
What goes by the rules in force at a time, such as weighted amounts and tiers earned, is answered by pledger: over HTTP, by
`pledger query`, or as Parquet by `pledger export`. Attribution goes by the rules that a deal was won under, and is here; it is made when it
is asked for, in SQLite of all deals at once, of which none may have more than 3,000 touches. `tiers` counts the certifications in force by the
database's clock, while a generated demo has a present of its own. `conflicts` are those that were decided about: accounts that may be one
are found when pledger is asked (`pledger conflicts`).

```sql
SELECT partner, date_trunc('quarter', closed_at) AS quarter, currency, sum(amount)
FROM pledger.deals WHERE status = 'won' GROUP BY 1, 2, 3;
```
";

/// The whole document.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Tables\n");
    for table in Shard::default().tables() {
        text.push_str(&of_table(table));
    }
    text.push_str("\n## Read models\n");
    for view in JOINED {
        text.push_str(&format!("\n### {}\n\n{}\n\n| column | PostgreSQL | SQLite | |\n| --- | --- | --- | --- |\n", view.name, view.about));
        for (name, kind, about) in view.columns {
            text.push_str(&format!("| `{name}` | {} | {} | {about} |\n", postgres_type(*kind), sqlite_unit(*kind)));
        }
    }
    text
}

fn of_table(table: &dyn AnyTable) -> String {
    let mut text =
        format!("\n### {}\n\n{}\n\n| column | PostgreSQL | SQLite | |\n| --- | --- | --- | --- |\n", table.name(), table.about().trim());
    for (at, column) in table.columns().iter().enumerate() {
        let (postgres, sqlite) = (postgres_type(column.kind), sqlite_unit(column.kind));
        let null = if column.nullable { " May be null." } else { "" };
        let key = if at < table.key_columns() { " Part of the key." } else { "" };
        text.push_str(&format!("| `{}` | {postgres} | {sqlite} | {}{key}{null} |\n", column.name, column.about.trim()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_document_is_the_codes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql-views.md");
        if std::env::var_os("PLEDGER_BLESS").is_some() {
            fs::write(&path, document()).expect("written");
        }
        let written = fs::read_to_string(&path).expect("docs/sql-views.md");
        assert!(written == document(), "docs/sql-views.md is not the code's: PLEDGER_BLESS=1 cargo test -p pledger-projections --lib sql");
    }

    #[test]
    fn views_have_names_of_their_own_and_columns_say_what_they_are() {
        let tables = Shard::default();
        let names: Vec<_> = tables.tables().iter().map(|table| table.name()).chain(JOINED.iter().map(|view| view.name)).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        for table in tables.tables() {
            assert!(!table.about().is_empty(), "{}", table.name());
            assert!(table.columns().iter().all(|column| !column.about.is_empty()), "{}", table.name());
        }
    }
}
