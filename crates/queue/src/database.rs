//! The queue's rows in SQLite and PostgreSQL: apalis' own tables, with the few statements that apalis lacks.
//!
//! apalis inserts one row a statement on SQLite, and on PostgreSQL refuses a whole batch for one key that
//! it has; so units are inserted here, in one statement. Taking them, writing down how they ended,
//! heartbeats and the recovery of orphans are apalis'.

use std::collections::HashSet;
use std::time::Duration;

use apalis::prelude::{BackendExt, BoxDynError, WorkerBuilder, WorkerBuilderExt, WorkerContext, WorkerError};
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use ulid::Ulid;

use crate::{QueueError, QueueUrl, Unit};

/// How often an idle worker looks for new units.
const IDLE: Duration = Duration::from_millis(100);
/// Silent heartbeats after which a worker's units are taken by another.
const MISSED: usize = 6;
/// Units in one statement.
const BATCH: usize = 1000;

/// Both databases that a queue can live in.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What the watcher wants to know.
pub(crate) struct Rows {
    /// Live units that are not this worker's: waiting, or another's.
    pub others: usize,
    /// Units that this worker has locked, ended ones included.
    pub mine: usize,
}

impl Database {
    pub async fn open(url: &QueueUrl) -> Result<Self, QueueError> {
        let place = place(url);
        open(url).await.map_err(|source| match QueueError::from(source) {
            QueueError::Query(source) => QueueError::Open { place, source },
            full => full,
        })
    }

    pub async fn push(&self, queue: &str, units: Vec<Unit>) -> Result<usize, QueueError> {
        let mut id = Ulid::generate();
        let mut keys = HashSet::with_capacity(units.len());
        let mut rows = Vec::with_capacity(units.len());
        for unit in &units {
            // PostgreSQL refuses a statement that meets the same key twice.
            if keys.insert(unit.key.as_str()) {
                rows.push((id.to_string(), serde_json::to_string(unit)?, unit.key.as_str()));
                id = id.increment().unwrap_or_else(|_| Ulid::generate());
            }
        }
        let mut queued = 0;
        match self {
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin().await?;
                for rows in rows.chunks(BATCH) {
                    queued += sqlx::query(
                        "INSERT INTO Jobs (job, id, job_type, status, attempts, max_attempts, run_at, \
                         priority, metadata, idempotency_key) \
                         SELECT CAST(value ->> 1 AS BLOB), value ->> 0, ?1, 'Pending', 0, 1, \
                         CAST(strftime('%s', 'now') AS INTEGER), 0, '{}', value ->> 2 \
                         FROM json_each(?2) WHERE true \
                         ON CONFLICT (job_type, idempotency_key) DO UPDATE SET \
                         job = excluded.job, status = 'Pending', attempts = 0, max_attempts = 1, \
                         run_at = excluded.run_at, \
                         last_result = NULL, lock_at = NULL, lock_by = NULL, done_at = NULL \
                         WHERE Jobs.status IN ('Done', 'Failed', 'Killed')",
                    )
                    .bind(queue)
                    .bind(serde_json::to_string(rows)?)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
                }
                transaction.commit().await?;
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                for rows in rows.chunks(BATCH) {
                    let ids: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
                    let jobs: Vec<&[u8]> = rows.iter().map(|row| row.1.as_bytes()).collect();
                    let keys: Vec<&str> = rows.iter().map(|row| row.2).collect();
                    queued += sqlx::query(
                        "INSERT INTO apalis.jobs (job, id, job_type, status, attempts, max_attempts, run_at, \
                         priority, idempotency_key) \
                         SELECT job, id, $1, 'Pending', 0, 1, now() - interval '1 second', 0, key \
                         FROM unnest($2::bytea[], $3::text[], $4::text[]) AS unit (job, id, key) \
                         ON CONFLICT (job_type, idempotency_key) DO UPDATE SET \
                         job = excluded.job, status = 'Pending', attempts = 0, max_attempts = 1, \
                         run_at = excluded.run_at, \
                         last_result = NULL, lock_at = NULL, lock_by = NULL, done_at = NULL \
                         WHERE jobs.status IN ('Done', 'Failed', 'Killed')",
                    )
                    .bind(queue)
                    .bind(jobs)
                    .bind(ids)
                    .bind(keys)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
                }
                transaction.commit().await?;
            }
        }
        Ok(count(queued))
    }

    /// The apalis worker, ready to be awaited.
    pub fn worker<H, R>(
        &self,
        queue: &str,
        worker: &WorkerContext,
        concurrency: usize,
        heartbeat: Duration,
        handle: H,
    ) -> BoxFuture<'static, Result<(), WorkerError>>
    where
        H: FnMut(Unit) -> R + Send + 'static,
        R: Future<Output = Result<(), BoxDynError>> + Send + 'static,
    {
        // As many again as may run, so that the next is at hand whenever one ends.
        let taken = concurrency.saturating_mul(2);
        match self {
            Self::Sqlite(pool) => {
                let config = apalis_sqlite::Config::default()
                    .queue(queue)
                    .batch_size(concurrency)
                    .heartbeat_interval(heartbeat)
                    .missed_heartbeats(MISSED)
                    .lock_tasks(false);
                let storage = SqliteStorage::<Unit>::new(pool).with_config(config).poll_with_interval(IDLE);
                let worker = WorkerBuilder::new(worker).backend(storage).concurrency(taken).build(handle);
                worker.run().boxed()
            }
            Self::Postgres(pool) => {
                let config = apalis_postgres::Config::default()
                    .queue(queue)
                    .batch_size(concurrency)
                    .heartbeat_interval(heartbeat)
                    .missed_heartbeats(MISSED)
                    .lock_tasks(false);
                let storage = PostgresStorage::<Unit>::new(pool).with_config(config).poll_with_interval(IDLE);
                let worker = WorkerBuilder::new(worker).backend(storage).concurrency(taken).build(handle);
                worker.run().boxed()
            }
        }
    }

    /// Before a run: units left for later wait again, and so do those that an aborted run had in hand; what
    /// dead workers left behind goes.
    pub async fn rearm(&self, queue: &str, instance: &str) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin().await?;
                for statement in [
                    "DELETE FROM Jobs WHERE job_type = ?1 AND status IN ('Done', 'Killed')",
                    "UPDATE Jobs SET status = 'Pending', attempts = 0, lock_by = NULL, lock_at = NULL, \
                     done_at = NULL, last_result = NULL \
                     WHERE job_type = ?1 AND status IN ('Failed', 'Queued', 'Running')",
                    "DELETE FROM Workers WHERE worker_type = ?1",
                ] {
                    sqlx::query(statement).bind(queue).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            Self::Postgres(pool) => {
                sqlx::query(
                    "UPDATE apalis.jobs SET status = 'Pending', attempts = 0, lock_by = NULL, lock_at = NULL, \
                     done_at = NULL, last_result = NULL \
                     WHERE job_type = $1 AND (status = 'Failed' \
                     OR (status IN ('Queued', 'Running') AND starts_with(lock_by, $2)))",
                )
                .bind(queue)
                .bind(instance)
                .execute(pool)
                .await?;
                sqlx::query(
                    "DELETE FROM apalis.workers WHERE worker_type = $1 \
                     AND last_seen < now() - interval '1 day' \
                     AND NOT EXISTS (SELECT FROM apalis.jobs WHERE lock_by = workers.id)",
                )
                .bind(queue)
                .execute(pool)
                .await?;
            }
        }
        Ok(())
    }

    /// After a run: what the worker still holds waits again, what it did is forgotten, and so is the worker.
    pub async fn release(&self, worker: &str) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin().await?;
                for statement in [
                    "DELETE FROM Jobs WHERE lock_by = ?1 AND status IN ('Done', 'Killed')",
                    "UPDATE Jobs SET status = CASE status WHEN 'Failed' THEN 'Failed' ELSE 'Pending' END, \
                     lock_by = NULL, lock_at = NULL WHERE lock_by = ?1",
                    "DELETE FROM Workers WHERE id = ?1",
                ] {
                    sqlx::query(statement).bind(worker).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                for statement in [
                    "DELETE FROM apalis.jobs WHERE lock_by = $1 AND status IN ('Done', 'Killed')",
                    "UPDATE apalis.jobs SET \
                     status = CASE status WHEN 'Failed' THEN 'Failed' ELSE 'Pending' END, \
                     lock_by = NULL, lock_at = NULL WHERE lock_by = $1",
                    "DELETE FROM apalis.workers WHERE id = $1",
                ] {
                    sqlx::query(statement).bind(worker).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Says that the worker lives.
    pub async fn pulse(&self, worker: &str) -> Result<(), QueueError> {
        match self {
            // One process at a time: nobody asks.
            Self::Sqlite(_) => {}
            Self::Postgres(pool) => {
                sqlx::query("UPDATE apalis.workers SET last_seen = now() WHERE id = $1")
                    .bind(worker)
                    .execute(pool)
                    .await?;
            }
        }
        Ok(())
    }

    /// Units that wait or run.
    pub async fn live(&self, queue: &str) -> Result<usize, QueueError> {
        let live: i64 = match self {
            Self::Sqlite(pool) => {
                sqlx::query_scalar(
                    "SELECT COUNT(*) FROM Jobs WHERE job_type = ?1 \
                     AND status IN ('Pending', 'Queued', 'Running')",
                )
                .bind(queue)
                .fetch_one(pool)
                .await?
            }
            Self::Postgres(pool) => {
                sqlx::query_scalar(
                    "SELECT COUNT(*) FROM apalis.jobs WHERE job_type = $1 \
                     AND status IN ('Pending', 'Queued', 'Running')",
                )
                .bind(queue)
                .fetch_one(pool)
                .await?
            }
        };
        Ok(count(live.unsigned_abs()))
    }

    pub async fn look(&self, queue: &str, worker: &str) -> Result<Rows, QueueError> {
        let (others, mine): (i64, i64) = match self {
            Self::Sqlite(pool) => {
                sqlx::query_as(
                    "SELECT (SELECT COUNT(*) FROM Jobs WHERE job_type = ?1 \
                     AND status IN ('Pending', 'Queued', 'Running') AND lock_by IS NOT ?2), \
                     (SELECT COUNT(*) FROM Jobs WHERE lock_by = ?2)",
                )
                .bind(queue)
                .bind(worker)
                .fetch_one(pool)
                .await?
            }
            Self::Postgres(pool) => {
                sqlx::query_as(
                    "SELECT (SELECT COUNT(*) FROM apalis.jobs WHERE job_type = $1 \
                     AND status IN ('Pending', 'Queued', 'Running') AND lock_by IS DISTINCT FROM $2), \
                     (SELECT COUNT(*) FROM apalis.jobs WHERE lock_by = $2)",
                )
                .bind(queue)
                .bind(worker)
                .fetch_one(pool)
                .await?
            }
        };
        Ok(Rows { others: count(others.unsigned_abs()), mine: count(mine.unsigned_abs()) })
    }

    pub async fn held(&self, queue: &str) -> Result<usize, QueueError> {
        let held: i64 = match self {
            Self::Sqlite(pool) => {
                sqlx::query_scalar(
                    "SELECT COUNT(*) FROM Jobs WHERE job_type = ?1 AND status NOT IN ('Done', 'Killed')",
                )
                .bind(queue)
                .fetch_one(pool)
                .await?
            }
            Self::Postgres(pool) => {
                sqlx::query_scalar(
                    "SELECT COUNT(*) FROM apalis.jobs WHERE job_type = $1 \
                     AND status NOT IN ('Done', 'Killed')",
                )
                .bind(queue)
                .fetch_one(pool)
                .await?
            }
        };
        Ok(count(held.unsigned_abs()))
    }

    pub async fn clear(&self, queue: &str) -> Result<usize, QueueError> {
        let gone = match self {
            Self::Sqlite(pool) => sqlx::query("DELETE FROM Jobs WHERE job_type = ?1")
                .bind(queue)
                .execute(pool)
                .await?
                .rows_affected(),
            Self::Postgres(pool) => sqlx::query("DELETE FROM apalis.jobs WHERE job_type = $1")
                .bind(queue)
                .execute(pool)
                .await?
                .rows_affected(),
        };
        Ok(count(gone))
    }
}

async fn open(url: &QueueUrl) -> Result<Database, sqlx::Error> {
    match url {
        QueueUrl::File(path) => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            // Two processes that begin at once would both make its tables; the lock goes with the file.
            let mut name = path.as_os_str().to_owned();
            name.push("-setup");
            let setting_up = std::fs::File::create(name)?;
            while let Err(error) = setting_up.try_lock() {
                match error {
                    std::fs::TryLockError::WouldBlock => tokio::time::sleep(Duration::from_millis(20)).await,
                    std::fs::TryLockError::Error(error) => return Err(error.into()),
                }
            }
            // One connection: the worker and the watcher wait for each other instead of for a lock.
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            SqliteStorage::setup(&pool).await.map_err(from_sqlite)?;
            // The set-up turns syncing off, with which a power cut can break the file.
            sqlx::query("PRAGMA synchronous = NORMAL").execute(&pool).await?;
            // By this index apalis' statement that writes down how units ended goes over all that the
            // worker ever had, once for each (2,000 units took 4.8 s instead of 2.2 s).
            sqlx::query("DROP INDEX IF EXISTS LIdx").execute(&pool).await?;
            drop(setting_up);
            Ok(Database::Sqlite(pool))
        }
        QueueUrl::Postgres(url) => {
            let pool = postgres_pool(url).await?;
            let mut migrations = PostgresStorage::migrations();
            // The program's own migrations are in `_sqlx_migrations`, and each migrator refuses the other's.
            migrations.dangerous_set_table_name("_apalis_migrations");
            migrations.run(&pool).await?;
            Ok(Database::Postgres(pool))
        }
    }
}

/// A pool whose connections come back without a transaction.
///
/// A stopped worker drops what it waits for. Where that is a `BEGIN` under way, sqlx 0.9 counts no
/// transaction and rolls none back, but the server has begun one: every later statement on the connection
/// would take locks and be lost with it.
async fn postgres_pool(url: &str) -> Result<PgPool, sqlx::Error> {
    let options = url.parse::<PgConnectOptions>()?.options([
        // A rollback with nothing to roll back is a warning otherwise.
        ("client_min_messages", "error"),
        // The store says what is done: a queue that forgot its last moments before a power cut does no harm.
        ("synchronous_commit", "off"),
    ]);
    PgPoolOptions::new()
        .max_connections(4)
        // Asked whether it is alive only where it was long idle: each time would double the way.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                Ok(about.idle_for < Duration::from_secs(1)
                    || sqlx::Connection::ping(connection).await.is_ok())
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        })
        .connect_with(options)
        .await
}

fn from_sqlite(error: apalis_sqlite::Error) -> sqlx::Error {
    match error {
        apalis_sqlite::Error::Database(error) => error,
        other => sqlx::Error::Configuration(other.into()),
    }
}

/// The queue's place in an error, without a password.
fn place(url: &QueueUrl) -> String {
    match url {
        QueueUrl::File(path) => path.display().to_string(),
        QueueUrl::Postgres(url) => match url.parse::<PgConnectOptions>() {
            Ok(options) => format!(
                "PostgreSQL database {:?} on {}",
                options.get_database().unwrap_or_default(),
                options.get_host()
            ),
            Err(_) => "PostgreSQL".to_owned(),
        },
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: cargo xtask ci"]
    async fn a_begin_that_is_dropped_leaves_no_transaction() {
        let url = std::env::var("DIPTYCH_TEST_POSTGRES").expect("DIPTYCH_TEST_POSTGRES names a database");
        let pool = postgres_pool(&url).await.unwrap();
        for _ in 0..100 {
            // As far as the statement is sent, and no further.
            let mut connection = pool.acquire().await.unwrap();
            // At times the server answers at once; then it is a transaction like any other.
            drop(sqlx::Connection::begin(&mut *connection).now_or_never());
        }
        // All four back at rest, seen by a fifth.
        let _at_rest = futures::future::join_all((0..4).map(|_| pool.acquire())).await;
        let mut other = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
        let begun: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&mut other)
        .await
        .unwrap();
        assert_eq!(begun, 0);
    }
}
