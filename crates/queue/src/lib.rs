//! The queue that carries units to the engines, so that several can be called at once, by several
//! processes, and none is called twice for the same unit while it waits or runs.
//!
//! It is an [apalis](apalis) queue: its tables, its worker, its heartbeats. The store alone says what is
//! done; the queue may be emptied at any time. On SQLite it lives in a file of its own that one process
//! uses at a time; on PostgreSQL in the schema `apalis` of the program's database, for any number of
//! processes.

mod database;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use database::Database;

/// Where a queue lives.
#[derive(Debug, Clone)]
pub enum QueueUrl {
    /// A SQLite file that holds nothing else; it is made when it is missing.
    File(PathBuf),
    /// A PostgreSQL database, which may hold other tables: `postgres://…`.
    Postgres(String),
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit's hash. A queue holds one live unit per key: this is the idempotency key.
    pub key: String,
    /// What the handler needs to know, as JSON.
    pub payload: String,
}

/// What a handler made of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Leave the queue.
    Done,
    /// Stay in the queue for a later [`Queue::run`]; this one does not try it again.
    Again,
}

/// What one [`Queue::run`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Units whose handler said [`Outcome::Done`].
    pub done: usize,
    /// Units whose handler said [`Outcome::Again`].
    pub again: usize,
    /// Units whose handler panicked; they stay for a later run.
    pub panicked: usize,
    /// Units that the queue still holds, whoever has them: all that a later run can take.
    pub left: usize,
}

/// What can go wrong with a queue. Nothing is lost with it but speed: see the store.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database could not be opened or prepared.
    #[error(
        "the work queue in {place} cannot be opened; it holds no results, so a queue file may be deleted"
    )]
    Open {
        /// The file, or the database without its password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A query failed.
    #[error("the work queue's database refused a query; run the command again to go on")]
    Query(#[source] sqlx::Error),
    /// Another program holds the queue.
    #[error(
        "another program holds the work queue locked; wait until that one is done, or end it, and run the command again"
    )]
    Locked,
    /// The disk is full.
    #[error("the disk that holds the work queue is full; free some space and run the command again to go on")]
    Full,
    /// The worker ended by itself.
    #[error("the work queue's worker stopped; run the command again to go on")]
    Worker(#[source] apalis_core::error::WorkerError),
    /// A unit cannot be written down.
    #[error("a unit of work cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
}

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if is_full(&error) {
            Self::Full
        } else if code.is_some_and(|code| ["5", "261", "517", "773", "55P03"].contains(&&*code)) {
            Self::Locked
        } else {
            Self::Query(error)
        }
    }
}

impl From<apalis_core::error::WorkerError> for QueueError {
    fn from(error: apalis_core::error::WorkerError) -> Self {
        if is_full(&error) { Self::Full } else { Self::Worker(error) }
    }
}

/// Whether SQLite or PostgreSQL had no room for what was to be written.
fn is_full(error: &dyn std::error::Error) -> bool {
    let text = error.to_string();
    // 4874 is SQLITE_IOERR_SHMSIZE: its file of shared memory cannot grow.
    ["disk is full", "No space left on device", "(code: 4874)"].iter().any(|sign| text.contains(sign))
}

/// A named queue of units.
#[derive(Debug)]
pub struct Queue {
    database: Database,
    name: String,
    /// Begins the names of this queue's workers, so that it knows them as its own.
    instance: String,
    heartbeat: Duration,
    /// One run at a time in a process.
    running: Mutex<()>,
}

impl Queue {
    /// Opens the queue `name` and makes what is missing.
    ///
    /// # Errors
    /// [`QueueError::Open`] when there is no such database, or it is not a queue's.
    pub async fn open(url: &QueueUrl, name: &str) -> Result<Self, QueueError> {
        Ok(Self {
            database: Database::open(url).await?,
            name: name.to_owned(),
            instance: format!("{name}-{}", Ulid::generate()),
            heartbeat: Duration::from_secs(5),
            running: Mutex::new(()),
        })
    }

    /// Sets how often a worker says that it is alive (whole seconds, at least 1; 5 without this call). After
    /// six silent intervals the other workers on PostgreSQL take its units.
    #[must_use]
    pub fn with_heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = Duration::from_secs(every.as_secs().max(1));
        self
    }

    /// Queues units and returns how many were really queued: a key that waits or runs already is left
    /// alone, one that ended (done, left for later, killed) is queued anew.
    ///
    /// # Errors
    /// [`QueueError::Query`] when the database fails; then none is queued.
    pub async fn push(&self, units: Vec<Unit>) -> Result<usize, QueueError> {
        self.database.push(&self.name, units).await
    }

    /// Takes units, awaits `handler` for each, `concurrency` at a time, and returns when the queue holds no
    /// more that this run could take, other workers' included, or when `stop` is cancelled: then the
    /// handlers under way are finished first. On SQLite, and for an earlier run of this same `Queue`, what
    /// an aborted run had in hand is taken at once; other workers' units when their heartbeat is lost.
    ///
    /// Units are taken ahead (at most `3 × concurrency` are in hand) so that the database is never waited
    /// for. Dropping the future aborts its handlers.
    ///
    /// # Errors
    /// [`QueueError::Query`] and [`QueueError::Worker`]; the handlers under way are finished first.
    pub async fn run<F, Fut>(
        &self,
        concurrency: usize,
        stop: CancellationToken,
        handler: F,
    ) -> Result<Report, QueueError>
    where
        F: Fn(Unit) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let _alone = self.running.lock().await;
        session::run(self, concurrency.max(1), &stop, handler).await
    }

    /// How many units the queue holds: waiting, running and left for later.
    ///
    /// # Errors
    /// [`QueueError::Query`] when the database fails.
    pub async fn held(&self) -> Result<usize, QueueError> {
        self.database.held(&self.name).await
    }

    /// Empties this queue and returns how many units it held. A unit in a handler at this moment is
    /// finished there.
    ///
    /// # Errors
    /// [`QueueError::Query`] when the database fails.
    pub async fn clear(&self) -> Result<usize, QueueError> {
        self.database.clear(&self.name).await
    }
}
