//! How an engine is called by many at once without being overrun.
//!
//! One [`Pace`] belongs to one engine and is shared by all its callers. Calls start through a single
//! gate, in the order they came, so that the rate holds across callers; a server that says "not now"
//! closes the gate for all of them. Everything waits inside futures: dropping one gives up its place
//! and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{Chat, ChatReply, ChatRequest, EngineError, ImageMaker, ImageRequest, Limits, MadeImage};

/// The first retry waits up to this long, each later one up to twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// No retry waits longer by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where a server asks for more patience than this, calls fail at once and their units stay pending.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The shared manners of one engine's callers.
#[derive(Debug)]
pub struct Pace {
    who: String,
    limits: Limits,
    places: Semaphore,
    /// When the next call may start. Held while waiting for it, so that callers pass one by one.
    gate: tokio::sync::Mutex<Instant>,
    /// Until when the server wants no calls.
    paused_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// A pace within these limits, for the engine of this name (for messages).
    pub fn new(who: impl Into<String>, limits: Limits) -> Self {
        let places = Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        let gate = tokio::sync::Mutex::new(Instant::now());
        Self { who: who.into(), limits, places, gate, paused_until: Mutex::new(None) }
    }

    /// Calls until it succeeds, fails for good, or the retries are used up.
    ///
    /// Between tries it waits a random time between nothing and a bound that doubles ("full jitter",
    /// Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), and at least as long
    /// as the server asked for; that last wait is everybody's. A call that takes longer than the time
    /// allowed is dropped and counts as [`EngineError::Transient`].
    ///
    /// # Errors
    /// The last error; any but [`EngineError::Transient`] at once.
    pub async fn call<T, F, Fut>(&self, mut attempt: F) -> Result<T, EngineError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, EngineError>>,
    {
        let mut retried = 0;
        loop {
            let error = match self.call_once(&mut attempt).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let asked = match &error {
                // Something came back, and may have to be paid for: whether to ask again is the caller's choice.
                EngineError::Unusable { .. } | EngineError::Refused { .. } | EngineError::Setup { .. } => {
                    return Err(error);
                }
                EngineError::Transient { retry_after, .. } => *retry_after,
            };
            if let Some(asked) = asked {
                self.pause(asked);
            }
            if retried == self.limits.retries || asked.is_some_and(|asked| asked > LONGEST_PAUSE) {
                return Err(error);
            }
            let bound = FIRST_WAIT.saturating_mul(1 << retried.min(16)).min(LONGEST_WAIT);
            let wait = bound.mul_f64(SmallRng::from_os_rng().random::<f64>());
            retried += 1;
            tracing::debug!(retried, ?wait, ?asked, %error, "will try again");
            tokio::select! {
                () = sleep(wait) => {}
                () = self.limits.stop.cancelled() => return Err(error),
            }
        }
    }

    async fn call_once<T, F, Fut>(&self, attempt: &mut F) -> Result<T, EngineError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, EngineError>>,
    {
        // The semaphore is never closed; were it, calling without a place would only be impolite.
        let turn = async {
            let place = self.places.acquire().await.ok();
            self.wait_for_turn().await.map(|()| place)
        };
        // Who stops lets calls that are under way end, and begins none.
        let _place = tokio::select! {
            biased;
            () = self.limits.stop.cancelled() => {
                return Err(EngineError::transient(format!("{} was not called: the run is being stopped", self.who)));
            }
            place = turn => place?,
        };
        timeout(self.limits.timeout, attempt())
            .await
            .unwrap_or_else(|_elapsed| Err(no_answer(&self.who, self.limits.timeout)))
    }

    async fn wait_for_turn(&self) -> Result<(), EngineError> {
        let mut next = self.gate.lock().await;
        loop {
            let now = Instant::now();
            let paused_until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(until) = paused_until
                && until.saturating_duration_since(now) > LONGEST_PAUSE
            {
                let left = until - now;
                return Err(EngineError::Transient {
                    message: format!("{} asked for no calls for another {} s", self.who, left.as_secs()),
                    retry_after: Some(left),
                });
            }
            let open = paused_until.map_or(*next, |until| until.max(*next));
            if open <= now {
                let spacing = self
                    .limits
                    .requests_per_minute
                    .map_or(Duration::ZERO, |rate| Duration::from_secs(60) / rate.max(1));
                *next = now + spacing;
                return Ok(());
            }
            sleep_until(open).await;
        }
    }

    fn pause(&self, asked: Duration) {
        // A server that asks for centuries gets a day; `Instant` cannot hold everything.
        let until = Instant::now() + asked.min(Duration::from_secs(86_400));
        let mut paused_until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused_until = Some(paused_until.map_or(until, |earlier| earlier.max(until)));
    }
}

/// An engine together with its pace: the same trait, politely.
#[derive(Debug)]
pub struct Paced<E> {
    engine: E,
    pace: Pace,
}

impl<E> Paced<E> {
    /// Puts a pace onto the engine of this name (for messages).
    pub fn new(who: impl Into<String>, engine: E, limits: Limits) -> Self {
        Self { engine, pace: Pace::new(who, limits) }
    }

    async fn probe_once(
        &self,
        probe: impl Future<Output = Result<String, EngineError>>,
    ) -> Result<String, EngineError> {
        // Once, and not for long: who checks wants to know how it is now.
        let limit = self.pace.limits.timeout.min(Duration::from_secs(15));
        timeout(limit, probe).await.unwrap_or_else(|_elapsed| Err(no_answer(&self.pace.who, limit)))
    }
}

#[async_trait]
impl<E: Chat> Chat for Paced<E> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        self.pace.call(|| self.engine.complete(request)).await
    }

    async fn probe(&self) -> Result<String, EngineError> {
        self.probe_once(self.engine.probe()).await
    }
}

#[async_trait]
impl<E: ImageMaker> ImageMaker for Paced<E> {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        self.pace.call(|| self.engine.make(request)).await
    }

    async fn probe(&self) -> Result<String, EngineError> {
        self.probe_once(self.engine.probe()).await
    }
}

fn no_answer(who: &str, limit: Duration) -> EngineError {
    EngineError::transient(format!("{who} gave no answer within {} s", limit.as_secs_f64()))
}

#[cfg(test)]
mod tests;
