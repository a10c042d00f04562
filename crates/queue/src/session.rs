//! One run: an apalis worker between the database and the handlers, and a watcher that ends it.
//!
//! apalis has no "until the queue is empty", and while it holds units that it fetched it neither writes
//! down what ended nor sends heartbeats. So the watcher counts what is live, the pulse is sent here, and the
//! worker takes more units than may run, which wait at a gate while it talks to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use apalis::prelude::{BoxDynError, WorkerContext};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use ulid::Ulid;

use crate::{Outcome, Queue, QueueError, Report, Unit};

/// Between two looks at a queue where nothing is in hand: the first, and the longest.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];

/// What the handlers tell the watcher.
#[derive(Default)]
struct Tally {
    taken: AtomicUsize,
    in_hand: AtomicUsize,
    idle: Notify,
    done: AtomicUsize,
    again: AtomicUsize,
    panicked: AtomicUsize,
}

/// A unit in hand, from the moment that apalis gives it until its outcome is known.
struct InHand(Arc<Tally>);

impl InHand {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.in_hand.fetch_add(1, SeqCst);
        tally.taken.fetch_add(1, SeqCst);
        Self(Arc::clone(tally))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.0.in_hand.fetch_sub(1, SeqCst) == 1 {
            self.0.idle.notify_one();
        }
    }
}

pub(crate) async fn run<F, Fut>(
    queue: &Queue,
    concurrency: usize,
    stop: &CancellationToken,
    handler: F,
) -> Result<Report, QueueError>
where
    F: Fn(Unit) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let handler = Arc::new(handler);
    let mut report = Report::default();
    queue.database.rearm(&queue.name, &queue.instance).await?;
    // Nearly always one session; another when units came while the watcher ended the first.
    while !stop.is_cancelled() && queue.database.live(&queue.name).await? > 0 {
        // apalis refuses a name that it saw a moment ago.
        let worker = WorkerContext::new(&format!("{}-{}", queue.instance, Ulid::generate()));
        let tally = Arc::new(Tally::default());
        let ended = one(queue, concurrency, stop, &worker, &tally, &handler).await;
        // Also after a failure: what this worker still holds is for others to take.
        let released = queue.database.release(worker.name()).await;
        report.done += tally.done.load(SeqCst);
        report.again += tally.again.load(SeqCst);
        report.panicked += tally.panicked.load(SeqCst);
        ended?;
        released?;
    }
    report.left = queue.held().await?;
    Ok(report)
}

async fn one<F, Fut>(
    queue: &Queue,
    concurrency: usize,
    stop: &CancellationToken,
    worker: &WorkerContext,
    tally: &Arc<Tally>,
    handler: &Arc<F>,
) -> Result<(), QueueError>
where
    F: Fn(Unit) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let gate = Arc::new(Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)));
    let (handler, stopped, counted) = (Arc::clone(handler), stop.child_token(), Arc::clone(tally));
    // When the watcher fails, what waits at the gate is given back too.
    let give_back = stopped.clone();
    let handle = move |unit: Unit| {
        let in_hand = InHand::new(&counted);
        let (gate, stopped, handler) = (Arc::clone(&gate), stopped.clone(), Arc::clone(&handler));
        let tally = Arc::clone(&counted);
        // A task of its own runs on any core, and keeps a panic to itself.
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let permit = tokio::select! {
                biased;
                () = stopped.cancelled() => return None,
                permit = gate.acquire_owned() => permit.ok()?,
            };
            let outcome = handler(unit).await;
            drop(permit);
            Some(outcome)
        }));
        async move {
            let outcome = task.await;
            let _in_hand = in_hand;
            // For apalis an error is a unit that failed at its only attempt: it stays, and `rearm` brings
            // it back in the next run.
            match outcome {
                Ok(Some(Outcome::Done)) => {
                    tally.done.fetch_add(1, SeqCst);
                    Ok(())
                }
                Ok(Some(Outcome::Again)) => {
                    tally.again.fetch_add(1, SeqCst);
                    Err(BoxDynError::from("left for a later run"))
                }
                Ok(None) => Err(BoxDynError::from("not begun: the run was stopped")),
                Err(error) => {
                    tally.panicked.fetch_add(1, SeqCst);
                    tracing::error!(%error, "a unit's handler panicked; the unit stays for a later run");
                    Err(BoxDynError::from(error))
                }
            }
        }
    };
    let mut work = queue.database.worker(&queue.name, worker, concurrency, queue.heartbeat, handle);
    let watched = tokio::select! {
        // The worker first, so that it has begun before anything asks it to end.
        biased;
        ended = &mut work => return Ok(ended?),
        watched = watch(queue, stop, worker, tally) => watched,
        beat = pulse(queue, worker) => beat,
    };
    give_back.cancel();
    worker.stop()?;
    work.await?;
    watched
}

/// Returns when the run is to end: stopped, or nothing live but what has ended here.
async fn watch(
    queue: &Queue,
    stop: &CancellationToken,
    worker: &WorkerContext,
    tally: &Tally,
) -> Result<(), QueueError> {
    let mut pause = LOOK[0];
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tally.idle.notified() => pause = LOOK[0],
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK[1]),
        }
        if tally.in_hand.load(SeqCst) > 0 {
            continue;
        }
        let rows = queue.database.look(&queue.name, worker.name()).await?;
        // Rows of this worker that it has not been given yet are on their way to it.
        if rows.others == 0 && rows.mine <= tally.taken.load(SeqCst) && tally.in_hand.load(SeqCst) == 0 {
            return Ok(());
        }
    }
}

/// Says that the worker is alive, also while it holds units that wait; returns only with an error.
async fn pulse(queue: &Queue, worker: &WorkerContext) -> Result<(), QueueError> {
    loop {
        tokio::time::sleep(queue.heartbeat).await;
        queue.database.pulse(worker.name()).await?;
    }
}
