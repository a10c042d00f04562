//! Pacing, on a clock that stands still unless somebody waits for it.

use std::sync::Arc;

use super::*;
use crate::fake::{FakeChat, chat_reply};

fn limits() -> Limits {
    Limits { concurrency: 100, timeout: Duration::from_secs(10), retries: 3, ..Limits::default() }
}

fn request() -> ChatRequest {
    ChatRequest { system: None, user: "hello".to_owned(), max_tokens: 10, temperature: None, seed: None }
}

fn busy(retry_after: Option<u64>) -> EngineError {
    EngineError::Transient { message: "busy".to_owned(), retry_after: retry_after.map(Duration::from_secs) }
}

/// Calls `count` times at once and gives what came of each, with the time it came at.
async fn all(engine: &Arc<Paced<FakeChat>>, count: usize) -> Vec<(Duration, Result<ChatReply, EngineError>)> {
    let start = Instant::now();
    let calls: Vec<_> = (0..count)
        .map(|_| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                let result = engine.complete(&request()).await;
                (start.elapsed(), result)
            })
        })
        .collect();
    let mut done = Vec::new();
    for call in calls {
        done.push(call.await.unwrap());
    }
    done
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_at_once_than_allowed_and_no_fewer() {
    let fake = FakeChat::new(|_, _| Ok(chat_reply("hi"))).with_delay(Duration::from_secs(1));
    let engine = Arc::new(Paced::new("fake", fake, Limits { concurrency: 5, ..limits() }));
    let done = all(&engine, 20).await;
    assert!(done.iter().all(|(_, result)| result.is_ok()));
    assert_eq!(engine.engine.most_at_once(), 5);
    let last = done.iter().map(|(at, _)| *at).max().unwrap();
    assert!(last >= Duration::from_secs(4) && last < Duration::from_millis(4_100), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_a_minute_are_spread_evenly_over_all_callers() {
    let fake = FakeChat::new(|_, _| Ok(chat_reply("hi"))).with_delay(Duration::from_millis(1));
    let engine = Arc::new(Paced::new("fake", fake, Limits { requests_per_minute: Some(60), ..limits() }));
    let mut times: Vec<_> = all(&engine, 10).await.into_iter().map(|(at, _)| at).collect();
    times.sort();
    for (place, at) in (0_u32..).zip(&times) {
        let due = Duration::from_secs(1) * place;
        assert!(*at >= due && *at < due + Duration::from_millis(50), "call {place} came at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_patience_gets_it_from_everybody() {
    let fake =
        FakeChat::new(|number, _| if number == 0 { Err(busy(Some(30))) } else { Ok(chat_reply("hi")) })
            .with_delay(Duration::from_millis(10));
    let engine = Arc::new(Paced::new("fake", fake, Limits { concurrency: 1, ..limits() }));
    let done = all(&engine, 4).await;
    for (at, result) in &done {
        assert!(result.is_ok() && *at >= Duration::from_secs(30), "{at:?} {result:?}");
    }
    assert_eq!(engine.engine.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn retries_wait_longer_and_longer_but_end() {
    let fake = FakeChat::new(|_, _| Err(busy(None)));
    let engine = Paced::new("fake", fake, Limits { retries: 6, ..limits() });
    let start = Instant::now();
    assert_eq!(engine.complete(&request()).await, Err(busy(None)));
    assert_eq!(engine.engine.calls().len(), 7);
    // Six waits of at most 1, 2, 4, 8, 16 and 32 seconds; that all are near nothing is one in billions.
    assert!(start.elapsed() <= Duration::from_millis(63_100), "{:?}", start.elapsed());
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_for_good_is_not_tried_again() {
    for error in [EngineError::refused("no"), EngineError::setup("no key"), EngineError::unusable("a page")] {
        let said = error.clone();
        let engine = Paced::new("fake", FakeChat::new(move |_, _| Err(said.clone())), limits());
        assert_eq!(engine.complete(&request()).await, Err(error));
        assert_eq!(engine.engine.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_given_up_and_tried_again() {
    let fake = FakeChat::new(|_, _| Ok(chat_reply("late"))).with_delay(Duration::from_secs(11));
    let engine = Paced::new("chat `writer`", fake, Limits { retries: 1, ..limits() });
    let error = engine.complete(&request()).await.unwrap_err();
    assert_eq!(error, EngineError::transient("chat `writer` gave no answer within 10 s"));
    assert_eq!(engine.engine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_very_long_wait_is_not_waited_for() {
    let fake = FakeChat::new(|_, _| Err(busy(Some(7_200))));
    let engine = Arc::new(Paced::new("fake", fake, Limits { concurrency: 1, ..limits() }));
    let done = all(&engine, 3).await;
    for (at, result) in &done {
        assert!(matches!(result, Err(EngineError::Transient { retry_after: Some(_), .. })), "{result:?}");
        assert!(*at < Duration::from_secs(1), "{at:?}");
    }
    assert_eq!(engine.engine.calls().len(), 1, "the others are told without asking the server");
    tokio::time::advance(Duration::from_secs(7_201)).await;
    assert_eq!(engine.complete(&request()).await, Err(busy(Some(7_200))), "later it is asked again");
    assert_eq!(engine.engine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_to_the_next() {
    let fake = FakeChat::new(|_, _| Ok(chat_reply("hi"))).with_delay(Duration::from_secs(5));
    let engine =
        Paced::new("fake", fake, Limits { concurrency: 1, requests_per_minute: Some(6), ..limits() });
    // Dropped while calling, while waiting for the gate, and while waiting for a place.
    let asked = request();
    {
        let mut calls: Vec<_> = (0..3).map(|_| Box::pin(engine.complete(&asked))).collect();
        for call in &mut calls {
            assert!(timeout(Duration::from_secs(1), call).await.is_err());
        }
    }
    let start = Instant::now();
    engine.complete(&asked).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(engine.engine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_end_and_begins_none() {
    let fake = FakeChat::new(|_, _| Ok(chat_reply("done"))).with_delay(Duration::from_secs(3));
    let stop = tokio_util::sync::CancellationToken::new();
    let limits = Limits { concurrency: 2, stop: stop.clone(), ..limits() };
    let engine = Arc::new(Paced::new("fake", fake, limits));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.complete(&request()).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    stop.cancel();
    let mut ended = Vec::new();
    for call in calls {
        ended.push(call.await.unwrap());
    }
    assert_eq!(ended.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    assert!(
        ended
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|error| matches!(error, EngineError::Transient { .. }))
    );
    assert_eq!(engine.engine.calls().len(), 2);
}
