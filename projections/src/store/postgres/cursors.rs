//! Cursors: each is moved from where this process left it, or not at all.

use std::collections::BTreeSet;

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

/// Moves cursors from where they were left: those that are there in one statement, and those that are new in another, since
/// a cursor a round trip is what a write of few rows would spend its time on.
pub(super) async fn move_on(connection: &mut PgConnection, schema: &str, left: &Heads, moved: &Heads) -> Result<(), StoreError> {
    let (known, new): (Vec<_>, Vec<_>) = moved.iter().map(|(slice, head)| (*slice, head)).partition(|(slice, _)| left.contains_key(slice));
    let old = known.iter().map(|(slice, _)| (*slice, &left[slice]));
    let update = format!(
        "UPDATE {schema}.cursors AS c SET next_pseq = n.next_pseq, next_offset = n.next_offset, term = n.term, hash = n.hash \
         FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) AS n(slice, next_pseq, next_offset, term, hash) \
         JOIN unnest($6::int[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bytea[]) AS o(slice, next_pseq, next_offset, term, hash) \
         ON o.slice = n.slice \
         WHERE c.slice = o.slice AND c.next_pseq = o.next_pseq AND c.next_offset = o.next_offset AND c.term = o.term AND c.hash = o.hash \
         RETURNING c.slice"
    );
    let query = heads(heads(sqlx::query_scalar(AssertSqlSafe(update)), known.iter().copied()), old);
    all_moved(connection, query, &known).await?;
    let insert = format!(
        "INSERT INTO {schema}.cursors (slice, next_pseq, next_offset, term, hash) \
         SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) ON CONFLICT DO NOTHING RETURNING slice"
    );
    all_moved(connection, heads(sqlx::query_scalar(AssertSqlSafe(insert)), new.iter().copied()), &new).await
}

type Query<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i32, sqlx::postgres::PgArguments>;

/// Runs the statement that moves these cursors; one that it does not move was moved by somebody else.
async fn all_moved(connection: &mut PgConnection, query: Query<'_>, asked: &[(SliceId, &ChainHead)]) -> Result<(), StoreError> {
    if asked.is_empty() {
        return Ok(());
    }
    let moved: BTreeSet<i32> = within(query.fetch_all(connection)).await?.into_iter().collect();
    match asked.iter().find(|(slice, _)| !moved.contains(&i32::from(*slice))) {
        Some((slice, _)) => Err(StoreError::TakenOver { slice: *slice }),
        None => Ok(()),
    }
}

/// Binds heads, a column an array.
fn heads<'q, 'h>(query: Query<'q>, heads: impl Iterator<Item = (SliceId, &'h ChainHead)> + Clone) -> Query<'q> {
    fn column<'h, T>(
        heads: &(impl Iterator<Item = (SliceId, &'h ChainHead)> + Clone),
        read: impl Fn((SliceId, &'h ChainHead)) -> T,
    ) -> Vec<T> {
        heads.clone().map(read).collect()
    }
    query
        .bind(column(&heads, |(slice, _)| i32::from(slice)))
        .bind(column(&heads, |(_, head)| head.next_pseq.cast_signed()))
        .bind(column(&heads, |(_, head)| head.next_offset.cast_signed()))
        .bind(column(&heads, |(_, head)| head.term.cast_signed()))
        .bind(column(&heads, |(_, head)| head.hash.0.to_vec()))
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
