//! One writer a process, which commits in groups.
//!
//! A commit costs one flush of the disk, whatever it holds. So changes queue up while a commit is
//! under way, and the next transaction takes all of them: alone, a change waits for one flush;
//! under load, hundreds share one. Each caller hears of its change only after that commit.
//!
//! It has a thread of its own. A group is a chain of a dozen statements, each waiting for the answer to the last one;
//! among the tasks of a busy server every one of these answers would wait for a turn as well.
//!
//! On SQLite a commit appends to a log (WAL), and what is in it is copied to the database's file later: a checkpoint.
//! Left to itself SQLite does that within a commit, whenever a thousand pages have come together: that group, and who
//! comes behind it, would wait for a thousand writes and one flush more. So it is done beside the writer, by [`bring_home`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::{mpsc, oneshot};

use crate::assignments::{Take, Taken, take_all};
use crate::responses::{Respond, Responded, record_all};
use crate::{Backend, Connection, Result, StoreError, WriteFuture};

/// How long another program's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The most changes in one transaction. More would only make the first of them wait longer.
const GROUP: usize = 256;

/// For how many transactions PostgreSQL's plans last at the most: a sprint may open, and a crowd come, at any time.
const PLANS_LAST: u64 = 4096;

/// One way to the server for both. The key of the advisory lock, which all our writers take, is any number.
const BEGIN_LOCKED: &str = "BEGIN; SELECT pg_advisory_xact_lock(4919131752989213764)";

/// A change that waits for its turn. Answers and takes are most of the load and come together in groups,
/// so each group's are done together, in few statements.
enum Change {
    Respond(Waiting<Respond, Responded>),
    Take(Waiting<Take, Taken>),
    Other(Box<dyn Other>),
}

impl Change {
    /// Tells the caller the result once it is on disk, or why it is not.
    fn tell(self, failure: Option<StoreError>) {
        match self {
            Self::Respond(waiting) => waiting.tell(failure),
            Self::Take(waiting) => waiting.tell(failure),
            Self::Other(other) => other.tell(failure),
        }
    }
}

/// What somebody waits for, and its result, kept inside until it may be told.
struct Waiting<Q, T> {
    asked: Q,
    result: Mutex<Option<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<Q, T> Waiting<Q, T> {
    fn new(asked: Q) -> (Self, oneshot::Receiver<Result<T>>) {
        let (caller, answer) = oneshot::channel();
        (Self { asked, result: Mutex::new(None), caller }, answer)
    }

    fn keep(&self, result: T) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    fn tell(self, failure: Option<StoreError>) {
        let result = self.result.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = match (failure, result) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(StoreError::Stopped),
        };
        // Nobody may be waiting any more; the change is on disk all the same.
        self.caller.send(outcome).ok();
    }
}

/// Any other change, whatever its result.
trait Other: Send + Sync {
    fn run<'c>(&'c self, connection: &'c mut Connection) -> WriteFuture<'c, ()>;
    fn tell(self: Box<Self>, failure: Option<StoreError>);
}

impl<T, F> Other for Waiting<F, T>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut Connection) -> WriteFuture<'c, T> + Send + Sync + 'static,
{
    fn run<'c>(&'c self, connection: &'c mut Connection) -> WriteFuture<'c, ()> {
        Box::pin(async move {
            self.keep((self.asked)(connection).await?);
            Ok(())
        })
    }

    fn tell(self: Box<Self>, failure: Option<StoreError>) {
        Waiting::tell(*self, failure);
    }
}

#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Change>,
    stop: Arc<Mutex<Option<oneshot::Sender<()>>>>,
    /// Closed when the thread is done.
    stopped: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Writer {
    /// Starts the writer's thread. What is opened there is its pool, of one connection, and on SQLite one more for
    /// checkpoints.
    ///
    /// # Errors
    /// Whatever `open` gives, or where no thread can be started.
    pub(crate) async fn start<O>(backend: Backend, open: O) -> Result<Self>
    where
        O: Future<Output = Result<(AnyPool, Option<AnyConnection>)>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(1024);
        let (stop, stop_signal) = oneshot::channel();
        let (done, stopped) = oneshot::channel::<()>();
        let (tell_opened, opened) = oneshot::channel();
        let write = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = match backend {
                // Answers come from a thread; nothing from the network is awaited.
                Backend::Sqlite => runtime.enable_time().build(),
                Backend::Postgres => runtime.enable_all().build(),
            };
            let opening = runtime
                .map_err(StoreError::Thread)
                .and_then(|runtime| runtime.block_on(open).map(|opened| (runtime, opened)));
            match opening {
                Ok((runtime, (pool, checkpoints))) => {
                    tell_opened.send(Ok(())).ok();
                    let (committed, commits) = mpsc::channel(1);
                    let writing = Writing { backend, pool, transactions: 0, committed };
                    let writing = write_groups(writing, waiting, stop_signal);
                    runtime.block_on(async {
                        let Some(mut connection) = checkpoints else { return writing.await };
                        tokio::select! {
                            () = writing => {}
                            () = bring_home(&mut connection, commits) => {}
                        }
                        connection.close().await.ok();
                    });
                }
                Err(error) => {
                    tell_opened.send(Err(error)).ok();
                }
            }
            drop(done);
        };
        std::thread::Builder::new().name("writer".to_owned()).spawn(write).map_err(StoreError::Thread)?;
        opened.await.map_err(|_| StoreError::Stopped)??;
        Ok(Self {
            queue,
            stop: Arc::new(Mutex::new(Some(stop))),
            stopped: Arc::new(tokio::sync::Mutex::new(Some(stopped))),
        })
    }

    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Connection) -> WriteFuture<'c, T> + Send + Sync + 'static,
    {
        let (waiting, answer) = Waiting::new(change);
        self.send(Change::Other(Box::new(waiting)), answer).await
    }

    pub(crate) async fn respond(&self, respond: Respond) -> Result<Responded> {
        let (waiting, answer) = Waiting::new(respond);
        self.send(Change::Respond(waiting), answer).await
    }

    pub(crate) async fn take(&self, take: Take) -> Result<Taken> {
        let (waiting, answer) = Waiting::new(take);
        self.send(Change::Take(waiting), answer).await
    }

    async fn send<T>(&self, change: Change, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.queue.send(change).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Writes what is queued, then ends the thread and closes its connection.
    pub(crate) async fn stop(&self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(stop);
        if let Some(stopped) = self.stopped.lock().await.take() {
            stopped.await.ok();
        }
    }
}

/// The one who writes.
struct Writing {
    backend: Backend,
    /// Of one connection.
    pool: AnyPool,
    /// Transactions since the start. Whenever they have doubled, and now and then after that, PostgreSQL plans its
    /// statements anew: a plan that was made for a few rows may go another way than one for many.
    transactions: u64,
    /// Who is told that there is something to bring home.
    committed: mpsc::Sender<()>,
}

async fn write_groups(
    mut writing: Writing,
    mut waiting: mpsc::Receiver<Change>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            received = waiting.recv_many(&mut group, GROUP) => if received == 0 { break },
            _ = &mut stop => {
                // Close the door, then write what is still inside.
                waiting.close();
                while waiting.recv_many(&mut group, GROUP).await > 0 {
                    writing.write(&mut group).await;
                }
                break;
            }
        }
        writing.write(&mut group).await;
    }
    writing.pool.close().await;
}

impl Writing {
    async fn write(&mut self, group: &mut Vec<Change>) {
        match self.transaction(group).await {
            Ok(()) => group.drain(..).for_each(|change| change.tell(None)),
            Err(error) if group.len() == 1 => {
                if let Some(change) = group.pop() {
                    change.tell(Some(error));
                }
            }
            // Nothing is wrong with any of them, and each by itself would only wait as long again.
            Err(error @ (StoreError::Locked | StoreError::Full)) => {
                let locked = matches!(error, StoreError::Locked);
                for change in group.drain(..) {
                    change.tell(Some(if locked { StoreError::Locked } else { StoreError::Full }));
                }
            }
            // One of them failed and took the others with it: each on its own, so that only that one fails.
            Err(_) => {
                for change in group.drain(..) {
                    let failure = self.transaction(std::slice::from_ref(&change)).await.err();
                    change.tell(failure);
                }
            }
        }
    }

    async fn transaction(&mut self, changes: &[Change]) -> Result<()> {
        self.transactions += 1;
        let mut connection = self.pool.acquire().await?;
        let plans_anew = self.transactions.is_power_of_two() || self.transactions.is_multiple_of(PLANS_LAST);
        if let Err(error) = begin(self.backend, &mut connection, plans_anew).await {
            roll_back(connection).await;
            return Err(error);
        }
        if let Err(error) = run(&mut connection, changes).await {
            roll_back(connection).await;
            return Err(error);
        }
        if let Err(error) = sqlx::query("COMMIT").execute(&mut *connection).await {
            roll_back(connection).await;
            return Err(error.into());
        }
        // Where that is full, it is told already.
        self.committed.try_send(()).ok();
        Ok(())
    }
}

/// The least time between two checkpoints. The longer it is, the more comes together, and the longer commits that fall
/// into one wait for the disk: of the answers of 64 busy connections 99 % came within 29 ms where it was 50 ms, 43 ms
/// where it was 250, 57 ms where it was a second; and within 28 ms at 5, 32 ms at 50, on another day of the disk. It
/// costs up to a hundred flushes a second beside those of the commits.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_millis(5);

/// Copies what was committed to the database's file, until nobody commits any more. What somebody still reads by the log
/// is left for the next time; what remains after a failure, for SQLite's own checkpoints (`database::SQLITE_SETTINGS`).
async fn bring_home(connection: &mut AnyConnection, mut commits: mpsc::Receiver<()>) {
    let mut failed = false;
    while commits.recv().await.is_some() {
        let begun = Instant::now();
        let checkpoint = sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut *connection).await;
        let failed_before = std::mem::replace(&mut failed, checkpoint.is_err());
        // Said once: it is tried again and again.
        if let Err(error) = checkpoint
            && !failed_before
        {
            tracing::warn!(%error, "what was written stays in the database's log for now; nothing is lost");
        }
        // A slow disk is left to the commits at least half of the time.
        tokio::time::sleep(begun.elapsed().max(BETWEEN_CHECKPOINTS)).await;
    }
}

/// Begins a transaction that nobody else writes beside.
///
/// SQLite has no queue for its lock: whoever waits looks again now and then, up to 100 ms apart if left to
/// itself, and a busy neighbour may be through and back in between, again and again. So we look often.
async fn begin(backend: Backend, connection: &mut Connection, plans_anew: bool) -> Result<()> {
    if backend == Backend::Postgres {
        if plans_anew {
            sqlx::raw_sql("DISCARD PLANS").execute(&mut *connection).await?;
        }
        sqlx::raw_sql(BEGIN_LOCKED).execute(connection).await?;
        return Ok(());
    }
    let asked = Instant::now();
    loop {
        let begun = sqlx::raw_sql("PRAGMA busy_timeout = 2; BEGIN IMMEDIATE").execute(&mut *connection).await;
        match begun.map_err(StoreError::from) {
            Err(StoreError::Locked) if asked.elapsed() < LOCK_PATIENCE => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            begun => return begun.map(|_| ()),
        }
    }
}

/// All of them came at the same time, so none has a claim to be first: answers, which may end a person's
/// holds, come before takes, and each kind keeps its order.
async fn run(connection: &mut Connection, changes: &[Change]) -> Result<()> {
    let (mut responds, mut takes, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Respond(waiting) => responds.push(waiting),
            Change::Take(waiting) => takes.push(waiting),
            Change::Other(other) => others.push(other),
        }
    }
    let asked: Vec<&Respond> = responds.iter().map(|waiting| &waiting.asked).collect();
    for (waiting, result) in responds.iter().zip(record_all(connection, &asked).await?) {
        waiting.keep(result);
    }
    let asked: Vec<&Take> = takes.iter().map(|waiting| &waiting.asked).collect();
    for (waiting, result) in takes.iter().zip(take_all(connection, &asked).await?) {
        waiting.keep(result);
    }
    for other in others {
        other.run(connection).await?;
    }
    Ok(())
}

async fn roll_back(mut connection: sqlx::pool::PoolConnection<sqlx::Any>) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(&mut *connection).await {
        // SQLite may have rolled back by itself (a full disk); a connection in an unknown state is
        // not used again.
        tracing::debug!(%error, "rollback failed; the connection is closed");
        connection.close().await.ok();
    }
}
