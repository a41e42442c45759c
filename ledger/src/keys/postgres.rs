//! The key store of a cluster: a schema of its own in PostgreSQL, that several processes mint in at once.
//!
//! A key is offered as soon as it is staged, without waiting for the disk; whoever offered first is whose key counts.
//! `settle` waits until all of that is on disk: PostgreSQL writes its log in order. A database that crashed in between may have lost some
//! of it; so what was staged on a connection that was lost is offered again before it counts as settled. Nothing is remembered for longer,
//! since another process may erase it.
//!
//! Erasing takes the key out of its row, and the table is vacuumed at once, which overwrites it unless a transaction still
//! runs that began before. PostgreSQL's write-ahead log, its replicas and backups hold it as long as they are kept.

use std::path::Path;

use hashbrown::HashMap;
use parking_lot::Mutex;
use pledger_domain::values::{PersonId, Personal, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{
    Erasure, KeyStore, KeyStoreError, Minting, Opened,
    envelope::{self, Envelope, SubjectKey},
    mint::StoreKey,
    sqlite::AllRows,
    vault::Kept,
};
use crate::postgres::{PostgresOptions, SETUP_LOCK, Session, SessionError};

/// The layout of the tables.
const LAYOUT: i32 = 1;
/// Rows of another store in one statement.
const ROWS_A_STATEMENT: usize = 1_000;
/// What staging does not wait for.
const BEGIN: &str = "SET synchronous_commit = off";
/// What everything else does.
const DURABLE: &str = "SET LOCAL synchronous_commit = on";

/// Keeps keys in `<schema>_keys`.
pub struct PostgresKeyStore {
    session: Session,
    schema: String,
    minting: Minting,
    store_key: StoreKey,
    /// What was staged since the last `settle`. Held while that waits for the disk: who comes meanwhile finds its own staged keys
    /// settled, or settles them.
    staged: Mutex<Staged>,
}

/// Keys and rows that somebody seals under, minted here or by another process just now, and not known to be on disk.
#[derive(Default)]
struct Staged {
    keys: HashMap<PersonId, SubjectKey>,
    rows: HashMap<Vec<u8>, PersonId>,
    /// The first and the last connection that they were staged on.
    on: Option<(u64, u64)>,
}

impl Staged {
    fn note(&mut self, connection: u64) {
        let (first, _) = *self.on.get_or_insert((connection, connection));
        self.on = Some((first, connection));
    }
}

impl PostgresKeyStore {
    /// Makes a key store, with a new key of its own.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is one already: it is never replaced, or all that it sealed would be lost.
    pub fn create(options: &PostgresOptions, minting: Minting) -> Result<Self, KeyStoreError> {
        let schema = schema_of(options);
        let (key, name) = (minting.store_key(), schema.clone());
        let session = start(options)?;
        let bytes = key.0.to_vec();
        let made = session.call(async move |sql| initialise(sql, &name, bytes).await).map_err(failed)?;
        made.then_some(()).ok_or_else(|| KeyStoreError::Unfit(format!("there is a key store in the schema {schema} already")))?;
        Ok(Self { session, schema, minting, store_key: key, staged: Mutex::default() })
    }

    /// Opens the key store. New keys are random, whatever the first ones were made from.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is none.
    pub fn open(options: &PostgresOptions) -> Result<Self, KeyStoreError> {
        let schema = schema_of(options);
        let session = start(options)?;
        let name = schema.clone();
        let kept = session.call(async move |sql| store_row(sql, &name).await).map_err(failed)?;
        let unfit = |what: String| KeyStoreError::Unfit(format!("the key store in the schema {schema} {what}"));
        let key = match kept {
            Some((LAYOUT, key)) => key.try_into().map_err(|_| unfit("is damaged: its own key is cut".into()))?,
            Some((layout, _)) => return Err(unfit(format!("has layout {layout}; this pledger reads {LAYOUT}"))),
            None => return Err(KeyStoreError::Unfit(format!("there is no key store in the schema {schema}"))),
        };
        Ok(Self { session, schema, minting: Minting::Random, store_key: StoreKey(key), staged: Mutex::default() })
    }

    /// Copies the key store of a data directory, which nobody writes meanwhile: the store's own key, every subject's key or
    /// tombstone, and the subjects of senders' rows. All of it is there afterwards, or nothing. Where it was copied before,
    /// nothing is done.
    ///
    /// # Errors
    /// `KeyStoreError::Unfit` where there is another key store already.
    pub fn copy_from(dir: &Path, options: &PostgresOptions) -> Result<Self, KeyStoreError> {
        let kept = super::sqlite::all_rows(dir)?;
        let session = start(options)?;
        let schema = schema_of(options);
        let name = schema.clone();
        let copied = session.call(async move |sql| take_in(sql, &name, kept).await).map_err(failed)?;
        copied.then_some(()).ok_or_else(|| KeyStoreError::Unfit(format!("there is another key store in the schema {schema} already")))?;
        Self::open(options)
    }

    fn find_key(&self, subject: &PersonId) -> Result<Option<Kept>, KeyStoreError> {
        self.find_key_on(subject).map(|(kept, _)| kept)
    }

    /// The same, with the connection that it was found on.
    fn find_key_on(&self, subject: &PersonId) -> Result<(Option<Kept>, u64), KeyStoreError> {
        let sql = format!("SELECT key FROM {}.subject WHERE id = $1", self.schema);
        let subject = subject.to_string();
        let (row, connection): (Option<(Option<Vec<u8>>,)>, u64) =
            self.ask(async move |on| sqlx::query_as(AssertSqlSafe(sql)).bind(subject).fetch_optional(on).await)?;
        Ok((row.map(|(key,)| kept(key)).transpose()?, connection))
    }

    /// Offers a key for a subject; the one that is kept then, and on which connection.
    fn offer_key(&self, subject: &PersonId, key: &SubjectKey) -> Result<(Kept, u64), KeyStoreError> {
        let sql = format!("INSERT INTO {}.subject (id, key) VALUES ($1, $2) ON CONFLICT DO NOTHING", self.schema);
        let (subject_id, bytes) = (subject.to_string(), key.0.to_vec());
        let (made, connection) =
            self.ask(async move |on| sqlx::query(AssertSqlSafe(sql)).bind(subject_id).bind(bytes).execute(on).await)?;
        if made.rows_affected() == 1 {
            return Ok((Kept::Key(key.clone()), connection));
        }
        let (kept, connection) = self.find_key_on(subject)?;
        Ok((kept.ok_or_else(|| KeyStoreError::Store("a subject that was there is gone".into()))?, connection))
    }

    fn find_row(&self, hash: Vec<u8>) -> Result<(Option<PersonId>, u64), KeyStoreError> {
        let sql = format!("SELECT subject FROM {}.sender_row WHERE hash = $1", self.schema);
        let (found, connection): (Option<(String,)>, u64) =
            self.ask(async move |on| sqlx::query_as(AssertSqlSafe(sql)).bind(hash).fetch_optional(on).await)?;
        let subject = found.map(|(subject,)| PersonId::parse(&subject).map_err(|error| KeyStoreError::Store(format!("a subject {error}"))));
        Ok((subject.transpose()?, connection))
    }

    /// Asks the database, and once more where it had ended the connection; on which one it answered.
    fn ask<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Clone + Send + 'static,
    ) -> Result<(T, u64), KeyStoreError> {
        self.session.call_again_numbered(work).map_err(unavailable)
    }

    /// Offers again what was staged on a connection that was lost, and waits until it is on disk.
    fn offer_again(&self, staged: &Staged) -> Result<(), KeyStoreError> {
        let schema = self.schema.clone();
        let keys: Vec<(String, Vec<u8>)> = staged.keys.iter().map(|(subject, key)| (subject.to_string(), key.0.to_vec())).collect();
        let rows: Vec<(Vec<u8>, String)> = staged.rows.iter().map(|(hash, subject)| (hash.clone(), subject.to_string())).collect();
        let are_kept = self.session.call(async move |on| offer_all(on, &schema, keys, rows).await).map_err(unavailable)?;
        let others = "keys of persons were lost with the database's last moments, and others were made for them; start pledger again";
        if are_kept { Ok(()) } else { Err(KeyStoreError::Store(others.to_owned())) }
    }
}

impl KeyStore for PostgresKeyStore {
    fn stage_subject(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError> {
        let hash = self.store_key.row_hash(sender, row);
        let (known, connection) = self.find_row(hash.to_vec())?;
        let (subject, connection) = match known {
            Some(subject) => (subject, connection),
            None => {
                let subject = self.minting.subject(&hash);
                let sql = format!("INSERT INTO {}.sender_row (hash, subject) VALUES ($1, $2) ON CONFLICT DO NOTHING", self.schema);
                let (hash_bytes, id) = (hash.to_vec(), subject.to_string());
                let (made, connection) =
                    self.ask(async move |on| sqlx::query(AssertSqlSafe(sql)).bind(hash_bytes).bind(id).execute(on).await)?;
                if made.rows_affected() == 1 {
                    (subject, connection)
                } else {
                    let (subject, connection) = self.find_row(hash.to_vec())?;
                    (subject.ok_or_else(|| KeyStoreError::Store("a row that was there is gone".into()))?, connection)
                }
            }
        };
        let mut staged = self.staged.lock();
        staged.rows.insert(hash.to_vec(), subject.clone());
        staged.note(connection);
        Ok(subject)
    }

    fn stage_seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError> {
        let (kept, connection) = match self.find_key_on(subject)? {
            (Some(kept), connection) => (kept, connection),
            (None, _) => self.offer_key(subject, &self.minting.key(subject))?,
        };
        let Kept::Key(key) = kept else { return Ok(Personal::Erased) };
        let sealed = Personal::Sealed(envelope::seal(&key, subject, plain));
        let mut staged = self.staged.lock();
        staged.keys.insert(subject.clone(), key);
        staged.note(connection);
        Ok(sealed)
    }

    fn settle(&self) -> Result<(), KeyStoreError> {
        let mut staged = self.staged.lock();
        if let Some(on) = staged.on {
            let ((), connection) = self
                .session
                .call_again_numbered(async |on: &mut PgConnection| {
                    let mut transaction = on.begin().await?;
                    transaction.execute(DURABLE).await?;
                    // Something in the log to wait for: all that came before is on disk with it.
                    transaction.execute("SELECT pg_logical_emit_message(true, 'pledger', '')").await?;
                    transaction.commit().await
                })
                .map_err(unavailable)?;
            if on != (connection, connection) {
                self.offer_again(&staged)?;
            }
            *staged = Staged::default();
        }
        Ok(())
    }

    fn open(&self, sealed: &str) -> Result<Opened, KeyStoreError> {
        let Some(envelope) = Envelope::parse(sealed) else { return Ok(Opened::Unreadable) };
        Ok(match self.find_key(&envelope.subject)? {
            Some(Kept::Key(key)) => envelope::open(&key, &envelope).map_or(Opened::Unreadable, Opened::Plain),
            Some(Kept::Erased) => Opened::Erased,
            None => Opened::Unreadable,
        })
    }

    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
        let (schema, subject, reason) = (self.schema.clone(), subject.to_string(), reason.to_owned());
        self.ask(async move |on| bury(on, &schema, &subject, &reason, at).await).map(|(erasure, _)| erasure)
    }

    fn is_erased(&self, subject: &PersonId) -> Result<bool, KeyStoreError> {
        Ok(matches!(self.find_key(subject)?, Some(Kept::Erased)))
    }
}

fn schema_of(options: &PostgresOptions) -> String {
    format!("{}_keys", options.schema())
}

fn start(options: &PostgresOptions) -> Result<Session, KeyStoreError> {
    Session::start(options.clone(), "keys", BEGIN).map_err(failed)
}

/// For whoever starts pledger. What the database says of a failure names no key; its details might, and are left out.
fn failed(error: SessionError) -> KeyStoreError {
    KeyStoreError::Store(error.to_string())
}

/// For whoever sends commands, who may be anybody: the log has what the database says.
fn unavailable(error: SessionError) -> KeyStoreError {
    tracing::warn!(%error, "the key store cannot answer");
    KeyStoreError::Store(match error {
        SessionError::Database(sqlx::Error::Database(_)) => "PostgreSQL refused; the log says why".to_owned(),
        SessionError::Database(_) => "PostgreSQL cannot be reached".to_owned(),
        SessionError::Lost(_) => "the connection to PostgreSQL was lost".to_owned(),
        late @ (SessionError::Late | SessionError::Ended) => late.to_string(),
    })
}

fn kept(key: Option<Vec<u8>>) -> Result<Kept, KeyStoreError> {
    match key {
        None => Ok(Kept::Erased),
        Some(key) => SubjectKey::from_bytes(key).map(Kept::Key).ok_or_else(|| KeyStoreError::Store("a key is cut".into())),
    }
}

/// Makes the tables; false where there is a key store already.
async fn initialise(sql: &mut PgConnection, schema: &str, key: Vec<u8>) -> Result<bool, sqlx::Error> {
    let mut transaction = sql.begin().await?;
    transaction.execute(DURABLE).await?;
    let is_new = make(&mut transaction, schema, key).await?;
    transaction.commit().await?;
    Ok(is_new)
}

/// Makes the tables in a transaction; false where there is a key store already.
async fn make(transaction: &mut PgConnection, schema: &str, key: Vec<u8>) -> Result<bool, sqlx::Error> {
    transaction.execute(SETUP_LOCK).await?;
    let tables = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema};\n\
         REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;\n\
         CREATE TABLE IF NOT EXISTS {schema}.store (id integer PRIMARY KEY CHECK (id = 1), layout integer NOT NULL, key bytea NOT NULL);\n\
         CREATE TABLE IF NOT EXISTS {schema}.subject (id text PRIMARY KEY, key bytea, erased_at bigint, reason text, \
         CHECK ((key IS NULL) = (erased_at IS NOT NULL)));\n\
         CREATE TABLE IF NOT EXISTS {schema}.sender_row (hash bytea PRIMARY KEY, subject text NOT NULL);\n"
    );
    transaction.execute(AssertSqlSafe(tables)).await?;
    let insert = format!("INSERT INTO {schema}.store (id, layout, key) VALUES (1, $1, $2) ON CONFLICT DO NOTHING");
    let made = sqlx::query(AssertSqlSafe(insert)).bind(LAYOUT).bind(key).execute(transaction).await?;
    Ok(made.rows_affected() == 1)
}

/// Puts the rows of another store into a new one; false where there is another one.
async fn take_in(sql: &mut PgConnection, schema: &str, rows: AllRows) -> Result<bool, sqlx::Error> {
    let mut transaction = sql.begin().await?;
    transaction.execute(DURABLE).await?;
    if !make(&mut transaction, schema, rows.store_key.clone()).await? {
        let there: Vec<u8> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT key FROM {schema}.store"))).fetch_one(&mut *transaction).await?;
        return Ok(there == rows.store_key);
    }
    for subjects in rows.subjects.chunks(ROWS_A_STATEMENT) {
        let insert = format!(
            "INSERT INTO {schema}.subject (id, key, erased_at, reason) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[])"
        );
        let insert = sqlx::query(AssertSqlSafe(insert))
            .bind(subjects.iter().map(|row| row.0.clone()).collect::<Vec<_>>())
            .bind(subjects.iter().map(|row| row.1.clone()).collect::<Vec<_>>())
            .bind(subjects.iter().map(|row| row.2).collect::<Vec<_>>())
            .bind(subjects.iter().map(|row| row.3.clone()).collect::<Vec<_>>());
        insert.execute(&mut *transaction).await?;
    }
    for senders in rows.sender_rows.chunks(ROWS_A_STATEMENT) {
        let insert = format!("INSERT INTO {schema}.sender_row (hash, subject) SELECT * FROM unnest($1::bytea[], $2::text[])");
        let insert = sqlx::query(AssertSqlSafe(insert))
            .bind(senders.iter().map(|row| row.0.clone()).collect::<Vec<_>>())
            .bind(senders.iter().map(|row| row.1.clone()).collect::<Vec<_>>());
        insert.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Puts keys and rows where none are, durably; whether all that are there then are these, or were erased.
async fn offer_all(
    sql: &mut PgConnection,
    schema: &str,
    keys: Vec<(String, Vec<u8>)>,
    rows: Vec<(Vec<u8>, String)>,
) -> Result<bool, sqlx::Error> {
    let (ids, keys): (Vec<String>, Vec<Vec<u8>>) = keys.into_iter().unzip();
    let (hashes, subjects): (Vec<Vec<u8>>, Vec<String>) = rows.into_iter().unzip();
    let mut transaction = sql.begin().await?;
    transaction.execute(DURABLE).await?;
    let offered = "SELECT * FROM unnest($1::text[], $2::bytea[])";
    let insert = format!("INSERT INTO {schema}.subject (id, key) {offered} ON CONFLICT DO NOTHING");
    sqlx::query(AssertSqlSafe(insert)).bind(&ids).bind(&keys).execute(&mut *transaction).await?;
    let insert =
        format!("INSERT INTO {schema}.sender_row (hash, subject) SELECT * FROM unnest($1::bytea[], $2::text[]) ON CONFLICT DO NOTHING");
    sqlx::query(AssertSqlSafe(insert)).bind(&hashes).bind(&subjects).execute(&mut *transaction).await?;
    let others = format!(
        "SELECT EXISTS (SELECT 1 FROM unnest($1::text[], $2::bytea[]) AS ours (id, key) JOIN {schema}.subject AS kept USING (id) \
         WHERE kept.key <> ours.key) OR EXISTS (SELECT 1 FROM unnest($3::bytea[], $4::text[]) AS ours (hash, subject) \
         JOIN {schema}.sender_row AS kept USING (hash) WHERE kept.subject <> ours.subject)"
    );
    let others: bool =
        sqlx::query_scalar(AssertSqlSafe(others)).bind(ids).bind(keys).bind(hashes).bind(subjects).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(!others)
}

/// Layout and key of the store, where there is one.
async fn store_row(sql: &mut PgConnection, schema: &str) -> Result<Option<(i32, Vec<u8>)>, sqlx::Error> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(format!("{schema}.store")).fetch_one(&mut *sql).await?;
    if !there {
        return Ok(None);
    }
    sqlx::query_as(AssertSqlSafe(format!("SELECT layout, key FROM {schema}.store"))).fetch_optional(sql).await
}

/// Puts a tombstone in the place of a key.
async fn bury(sql: &mut PgConnection, schema: &str, subject: &str, reason: &str, at: Timestamp) -> Result<Erasure, sqlx::Error> {
    let mut transaction = sql.begin().await?;
    transaction.execute(DURABLE).await?;
    let update = format!("UPDATE {schema}.subject SET key = NULL, erased_at = $2, reason = $3 WHERE id = $1 AND key IS NOT NULL");
    let update = sqlx::query(AssertSqlSafe(update)).bind(subject).bind(at.micros()).bind(reason);
    let buried = update.execute(&mut *transaction).await?.rows_affected() == 1;
    let select = format!("SELECT erased_at, reason FROM {schema}.subject WHERE id = $1");
    let before: Option<(i64, Option<String>)> =
        sqlx::query_as(AssertSqlSafe(select)).bind(subject).fetch_optional(&mut *transaction).await?;
    transaction.commit().await?;
    if before.is_some()
        && let Err(error) = sql.execute(AssertSqlSafe(format!("VACUUM {schema}.subject"))).await
    {
        tracing::warn!(%error, "the table of keys was not vacuumed; until it is, an erased key lies in its file");
    }
    Ok(match before {
        None => Erasure::UnknownSubject,
        Some(_) if buried => Erasure::Erased,
        Some((at, reason)) => Erasure::ErasedBefore { at: Timestamp::from_micros(at), reason: reason.unwrap_or_default() },
    })
}
