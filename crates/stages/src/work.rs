//! Work: units that call an engine, through the queue.
//!
//! The store alone says what is done. A unit in the queue is no more than its key; what it is
//! follows from [`crate::flow`], so a queue that was emptied, or holds units of another
//! configuration, does no harm: the former are pushed again, the latter ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use diptych_core::{Stage, UnitKey};
use diptych_engine::EngineError;
use diptych_queue::{Outcome, Queue, QueueError, QueueUrl, Unit};

use crate::{Ctx, Result, StageError};

/// How a unit has ended, from the stage's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its outcome is in the store.
    Recorded,
    /// An engine failed in passing: the unit stays pending for a later run.
    Pending,
}

/// How a unit's engine error is to be treated.
#[derive(Debug)]
pub enum Verdict {
    /// Refused for good: a dropped row with this reason.
    Drop(String),
    /// What came back is of no use: a failed row with this reason.
    Fail(String),
    /// Failed in passing.
    Later(String),
    /// No unit can succeed: the run stops.
    Stop(StageError),
}

/// Sorts an engine's error.
pub fn judge(error: EngineError) -> Verdict {
    match error {
        EngineError::Refused { reason } => Verdict::Drop(reason),
        EngineError::Unusable { message, .. } => Verdict::Fail(message),
        EngineError::Transient { message, .. } => Verdict::Later(message),
        EngineError::Setup { message, .. } => Verdict::Stop(StageError::Engine(message)),
    }
}

/// Does these units through the queue, so many at once, until none is left, an error stops all of
/// them, or the person at the keyboard does. What is in flight then is finished.
///
/// # Errors
/// The first error of a unit, or of the queue.
pub async fn units<T, H, F>(
    ctx: &Ctx,
    stage: Stage,
    units: Vec<(UnitKey, T)>,
    concurrency: usize,
    handle: H,
) -> Result<()>
where
    T: Clone + Send + Sync + 'static,
    H: Fn(T) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Ended>> + Send + 'static,
{
    ctx.progress.begin(stage, Some(units.len() as u64));
    if units.is_empty() {
        return Ok(());
    }
    let queue_error = |error: QueueError| StageError::Queue(Box::new(error));
    let url = match ctx.queue.strip_prefix("sqlite:") {
        Some(path) => QueueUrl::File(path.into()),
        None => QueueUrl::Postgres(ctx.queue.clone()),
    };
    let queue =
        Queue::open(&url, &format!("{}-{stage}", ctx.config.sprint.slug)).await.map_err(queue_error)?;
    let queued =
        units.iter().map(|(key, _)| Unit { key: key.to_string(), payload: "{}".to_owned() }).collect();
    queue.push(queued).await.map_err(queue_error)?;

    let todo: Arc<HashMap<String, T>> =
        Arc::new(units.into_iter().map(|(key, unit)| (key.to_string(), unit)).collect());
    let stop = ctx.stop.child_token();
    let first_error: Arc<Mutex<Option<StageError>>> = Arc::default();
    let postponed = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let handler = {
        let (progress, stop) = (Arc::clone(&ctx.progress), stop.clone());
        let (first_error, postponed) = (Arc::clone(&first_error), Arc::clone(&postponed));
        move |unit: Unit| {
            let (todo, handle, progress, stop) =
                (Arc::clone(&todo), handle.clone(), Arc::clone(&progress), stop.clone());
            let (first_error, postponed) = (Arc::clone(&first_error), Arc::clone(&postponed));
            async move {
                let Some(item) = todo.get(&unit.key) else { return Outcome::Done };
                if stop.is_cancelled() {
                    return Outcome::Again;
                }
                match handle(item.clone()).await {
                    Ok(Ended::Recorded) => {
                        progress.advance(1);
                        Outcome::Done
                    }
                    Ok(Ended::Pending) => {
                        postponed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Outcome::Again
                    }
                    Err(error) => {
                        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        stop.cancel();
                        Outcome::Again
                    }
                }
            }
        }
    };
    queue.run(concurrency, stop, handler).await.map_err(queue_error)?;
    if let Some(error) = first_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    if ctx.stop.is_cancelled() {
        return Err(StageError::Interrupted);
    }
    let postponed = postponed.load(std::sync::atomic::Ordering::Relaxed);
    if postponed > 0 {
        ctx.progress.note(&format!(
            "{postponed} units of {stage} failed in passing and stay pending: run again to go on"
        ));
    }
    Ok(())
}
