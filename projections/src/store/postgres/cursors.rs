//! Cursors: each is moved from where this process left it, or not at all.

use pledger_ledger::{chain::ChainHead, record::Hash, slices::SliceId};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};

use super::{Heads, within};
use crate::{row::UnreadableRow, store::StoreError};

/// Where the cursors are.
pub(super) async fn read(connection: &mut PgConnection, schema: &str) -> Result<Heads, StoreError> {
    let sql = format!("SELECT slice, next_pseq, next_offset, term, hash FROM {schema}.cursors");
    let rows = within(sqlx::query(AssertSqlSafe(sql)).fetch_all(connection)).await?;
    rows.iter().map(read_one).collect()
}

fn read_one(row: &PgRow) -> Result<(SliceId, ChainHead), StoreError> {
    let wrong = |column| UnreadableRow { table: "cursors", column };
    let hash: &[u8] = row.try_get("hash")?;
    let hash = Hash(hash.try_into().map_err(|_| wrong("hash"))?);
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let slice = SliceId::try_from(row.try_get::<i32, _>("slice")?).map_err(|_| wrong("slice"))?;
    Ok((slice, ChainHead { next_pseq: number("next_pseq")?, next_offset: number("next_offset")?, term: number("term")?, hash }))
}

/// Takes in where the cursors are found on a new connection. Each has to be where it was left, or where a commit would have
/// put it whose answer was lost.
pub(super) fn reconcile(left: &mut Option<Heads>, doubt: &Heads, found: Heads) -> Result<(), StoreError> {
    if let Some(left) = left {
        let known = |slice: &SliceId, head: Option<&ChainHead>| left.get(slice) == head || (head.is_some() && doubt.get(slice) == head);
        let slices = left.keys().chain(found.keys());
        if let Some(slice) = slices.into_iter().find(|slice| !known(slice, found.get(slice))) {
            return Err(StoreError::TakenOver { slice: *slice });
        }
    }
    *left = Some(found);
    Ok(())
}

/// Moves cursors from where they were left.
pub(super) async fn move_on(connection: &mut PgConnection, schema: &str, left: &Heads, moved: &Heads) -> Result<(), StoreError> {
    for (slice, new) in moved {
        let done = match left.get(slice) {
            Some(old) => {
                let sql = format!(
                    "UPDATE {schema}.cursors SET next_pseq = $2, next_offset = $3, term = $4, hash = $5 \
                     WHERE slice = $1 AND next_pseq = $6 AND next_offset = $7 AND term = $8 AND hash = $9"
                );
                let query = head(sqlx::query(AssertSqlSafe(sql)).bind(i32::from(*slice)), new);
                within(head(query, old).execute(&mut *connection)).await?
            }
            None => {
                let sql = format!(
                    "INSERT INTO {schema}.cursors (slice, next_pseq, next_offset, term, hash) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT DO NOTHING"
                );
                within(head(sqlx::query(AssertSqlSafe(sql)).bind(i32::from(*slice)), new).execute(&mut *connection)).await?
            }
        };
        if done.rows_affected() == 0 {
            return Err(StoreError::TakenOver { slice: *slice });
        }
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn head<'q>(query: Query<'q>, head: &ChainHead) -> Query<'q> {
    let query = query.bind(head.next_pseq.cast_signed()).bind(head.next_offset.cast_signed()).bind(head.term.cast_signed());
    query.bind(head.hash.0.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(heads: &[(SliceId, u64)]) -> Heads {
        heads.iter().map(|(slice, next_pseq)| (*slice, ChainHead { next_pseq: *next_pseq, ..ChainHead::default() })).collect()
    }

    fn taken_over(left: &[(SliceId, u64)], doubt: &[(SliceId, u64)], found: &[(SliceId, u64)]) -> Option<SliceId> {
        let mut known = Some(heads(left));
        match reconcile(&mut known, &heads(doubt), heads(found)) {
            Ok(()) => {
                assert_eq!(known, Some(heads(found)));
                None
            }
            Err(StoreError::TakenOver { slice }) => Some(slice),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_cursor_is_where_it_was_left_or_where_a_lost_answer_put_it() {
        for (left, doubt, found, expected) in [
            (&[(1, 5)][..], &[][..], &[(1, 5)][..], None),
            (&[(1, 5)], &[(1, 9)], &[(1, 9)], None),
            (&[(1, 5)], &[(1, 9)], &[(1, 5)], None),
            (&[], &[(1, 9)], &[(1, 9)], None),
            (&[(1, 5)], &[(1, 9)], &[(1, 7)], Some(1)),
            (&[(1, 5)], &[], &[], Some(1)),
            (&[(1, 5)], &[], &[(1, 5), (2, 1)], Some(2)),
        ] {
            assert_eq!(taken_over(left, doubt, found), expected, "{left:?} {doubt:?} {found:?}");
        }
        let mut unread = None;
        reconcile(&mut unread, &Heads::new(), heads(&[(3, 1)])).expect("nothing was left anywhere");
        assert_eq!(unread, Some(heads(&[(3, 1)])));
    }
}
