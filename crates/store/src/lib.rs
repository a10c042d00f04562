//! Rows and blobs: the only SQL on rows in the program, and the only object storage.
//!
//! One file a noun. The same queries run on SQLite and PostgreSQL; what differs stands in
//! [`database`]. Everything that changes rows goes through [`Store::write`]: one writer a process
//! that commits in groups, so a caller hears of its change only when the disk has it.

pub mod assignments;
pub mod backup;
pub mod blobs;
pub mod calls;
pub mod checks;
mod clock;
pub mod database;
pub mod exclusions;
pub mod images;
mod line;
pub mod pairs;
pub mod people;
pub mod privacy;
pub mod prompts;
pub mod proposals;
pub mod publications;
pub mod reports;
pub mod responses;
pub mod reviews;
pub mod scores;
mod sessions;
pub mod settings;
pub mod sign_in;
pub mod simulate;
pub mod sprints;
pub mod standings;
pub mod variants;
mod writer;

use std::sync::Arc;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

pub use blobs::Blobs;
pub use database::{Backend, OURS, Store, without_password};

/// Some of a sprint's prompts, by index, with all that came of them: what is read at once.
pub type Span = std::ops::Range<i64>;

/// All prompts.
pub const EVERY_PROMPT: Span = 0..i64::MAX;

/// What can go wrong between the program and its rows and blobs.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened.
    #[error("database {url}: {reason}")]
    Open {
        /// Where it is, without a password.
        url: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A query failed.
    #[error("the database refused a query")]
    Query(#[source] Arc<sqlx::Error>),
    /// The disk or the database is full.
    #[error("the disk that holds the database is full; nothing was changed: free some space and try again")]
    Full,
    /// The database cannot be written.
    #[error(
        "the database cannot be written: its disk or its files are read-only; nothing was changed: make them writable \
         and try again"
    )]
    ReadOnly,
    /// Another program holds the database.
    #[error(
        "another program holds the database locked; nothing was changed: wait until that one is done, or end it, \
         and try again"
    )]
    Locked,
    /// The writer has no thread.
    #[error("the database's writer cannot be started; end other programs, or raise the limit of threads")]
    Thread(#[source] std::io::Error),
    /// The writer has stopped.
    #[error("the database's writer has stopped; restart the program")]
    Stopped,
    /// The blob store failed.
    #[error("blob store: {action} {name}")]
    Blob {
        /// For instance `cannot write`.
        action: &'static str,
        /// Which blob.
        name: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// The address of the blob store is not usable.
    #[error("blob store {url}: {reason}")]
    BlobStore {
        /// The configured address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A backup does not fit this program.
    #[error("the backup cannot be brought back, and nothing was: {what}")]
    Backup {
        /// What does not fit.
        what: String,
    },
    /// A file of a backup cannot be read or written.
    #[error("the backup's file cannot be read or written")]
    BackupFile(#[from] std::io::Error),
    /// A row holds a word that this program does not know.
    #[error("table {table} holds `{word}`, which this program does not know")]
    UnknownWord {
        /// The table.
        table: &'static str,
        /// The word.
        word: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Arc::new(error).into()
    }
}

impl From<Arc<sqlx::Error>> for StoreError {
    fn from(error: Arc<sqlx::Error>) -> Self {
        if is_full(&*error) {
            Self::Full
        } else if has_code(&error, LOCKED) {
            Self::Locked
        } else if has_code(&error, READ_ONLY) {
            Self::ReadOnly
        } else {
            Self::Query(error)
        }
    }
}

/// Another connection kept a lock for longer than ours waited: SQLite's SQLITE_BUSY and its kin, PostgreSQL's
/// `lock_not_available`.
const LOCKED: &[&str] = &["5", "261", "517", "773", "55P03"];

/// SQLite's SQLITE_READONLY and its kin, PostgreSQL's `read_only_sql_transaction`.
const READ_ONLY: &[&str] = &["8", "264", "520", "776", "1032", "1288", "1544", "25006"];

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}

/// Whether SQLite or PostgreSQL had no room for what was to be written.
fn is_full(error: &dyn std::error::Error) -> bool {
    let text = error.to_string();
    // 4874 is SQLITE_IOERR_SHMSIZE: its file of shared memory cannot grow.
    ["disk is full", "No space left on device", "(code: 4874)", "53100"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// What the store's functions give.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The future that a write gives back.
pub type WriteFuture<'c, T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// A connection inside a write.
pub type Connection = sqlx::AnyConnection;

/// Milliseconds since 1970, UTC.
pub type Millis = i64;

/// `($1, $2), ($3, $4)…` for so many rows of so many columns.
fn value_rows(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                text.push_str(", ");
            }
            text.push('$');
            text.push_str(&(row * columns + column + 1).to_string());
        }
        text.push(')');
    }
    text
}

/// `$first, $first+1…` for so many values or a few more: few different texts, so that the database finds
/// the statement prepared. [`padded`] gives the values.
fn places(first: usize, values: usize) -> String {
    let places: Vec<String> =
        (first..first + values.next_power_of_two()).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// The values for [`places`] of a list: the last one fills what is left.
fn padded<'v>(values: &[&'v str]) -> impl Iterator<Item = &'v str> {
    let last = values.last().copied();
    values.iter().copied().chain(last.into_iter().cycle()).take(values.len().next_power_of_two())
}

/// The places of one column among [`padded_rows`], the first one being 1: `$2`, `$8`, `$14`…
fn column_of_rows(column: usize, rows: usize, columns: usize) -> Vec<String> {
    (0..rows.next_power_of_two()).map(|row| format!("${}", row * columns + column)).collect()
}

/// Several changes as one statement, which share its values: a connection is asked once for all of them, where each
/// question costs a way to the server and back, or on SQLite to another thread. No two of them change the same row, and each
/// is right whether it sees what those before it do (SQLite) or not (PostgreSQL).
fn as_one(connection: &Connection, changes: &[&str]) -> String {
    match (connection.backend_name(), changes) {
        ("PostgreSQL", [first @ .., last]) if !first.is_empty() => {
            let named: Vec<String> = first
                .iter()
                .enumerate()
                .map(|(number, change)| format!("change_{number} AS ({change})"))
                .collect();
            format!("WITH {} {last}", named.join(", "))
        }
        _ => changes.join("; "),
    }
}

/// Columns as one value, an array in JSON.
fn as_array(connection: &Connection, columns: &str) -> String {
    match connection.backend_name() {
        "PostgreSQL" => format!("json_build_array({columns})"),
        _ => format!("json_array({columns})"),
    }
}

/// `SELECT columns` of what `from` finds, in one text, which [`rows_in`] reads: each row by itself would be copied
/// several times, and on SQLite wake the thread that waits for it. `order` says how they follow.
fn rows_as_one(connection: &Connection, columns: &str, order: &str, from: &str) -> String {
    let row = as_array(connection, columns);
    match connection.backend_name() {
        "PostgreSQL" => format!("SELECT CAST(COALESCE(json_agg({row} {order}), '[]') AS TEXT) FROM {from}"),
        _ => format!("SELECT json_group_array({row} {order}) FROM {from}"),
    }
}

/// The rows of [`rows_as_one`], each column in its place: those of a struct, in their order.
fn rows_in<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

/// A number in [`rows_as_one`] that says whether there is any: each database writes what is true its own way.
fn any<'de, D: Deserializer<'de>>(number: D) -> Result<bool, D::Error> {
    Ok(i64::deserialize(number)? > 0)
}

/// As [`value_rows`], for so many rows or a few more, for the same reason as [`places`]. [`padded_with`] gives the rows;
/// the statement must leave out those that only fill.
fn padded_rows(rows: usize, columns: usize) -> String {
    value_rows(rows.next_power_of_two(), columns)
}

/// The rows for [`padded_rows`].
fn padded_with<'r, R>(rows: &'r [R], filling: &'r R) -> impl Iterator<Item = &'r R> {
    rows.iter().chain(std::iter::repeat(filling)).take(rows.len().next_power_of_two())
}

/// The most answers or holds that are written at once: of up to six columns (see [`rows_at_once`]).
const TOGETHER: usize = 64;

/// The most values of one column in one statement (see [`rows_at_once`] for why there is a limit).
const AT_ONCE: usize = 256;

/// How many rows of so many columns one statement carries: few, for both databases. SQLite finds each
/// value's name by walking the list of all names. To PostgreSQL over TLS, what is longer than one record
/// of 16 kB is several writes, and sqlx 0.9.0 leaves Nagle's algorithm on, by which the last one waits
/// 40 ms for the server's acknowledgement (sqlx issue 4335).
fn rows_at_once(columns: usize) -> usize {
    (400 / columns).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_cannot_be_written_is_told_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:test.db", folder.path()).await.unwrap();
        store.close().await;
        let address = format!("sqlite:{}?mode=ro", folder.path().join("test.db").display());
        let pool = sqlx::any::AnyPoolOptions::new().connect(&address).await.unwrap();
        let refused = sqlx::query("DELETE FROM people").execute(&pool).await.unwrap_err();
        assert!(matches!(StoreError::from(refused), StoreError::ReadOnly));
        let wrong = sqlx::query("DELETE FROM nothing").execute(&pool).await.unwrap_err();
        assert!(matches!(StoreError::from(wrong), StoreError::Query(_)));
    }
}
