//! One suite for both databases: what the stages may rely on, undisturbed and disturbed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diptych_queue::{Outcome, Queue, QueueUrl, Report, Unit};
use tokio_util::sync::CancellationToken;

fn units(range: std::ops::Range<usize>) -> Vec<Unit> {
    range
        .map(|i| Unit { key: format!("{i:064x}"), payload: format!(r#"{{"n":{i},"é":"\u0000'"}}"#) })
        .collect()
}

/// A handler that counts how often it saw each unit.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, usize>>>);

impl Seen {
    fn note(&self, unit: &Unit) {
        *self.0.lock().unwrap().entry(unit.key.clone()).or_default() += 1;
    }
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
    fn most(&self) -> usize {
        self.0.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

/// Runs to the end with a handler that takes a moment and says `outcome`.
async fn run(queue: &Queue, seen: &Seen, outcome: Outcome) -> Report {
    let seen = seen.clone();
    let handler = move |unit: Unit| {
        let seen = seen.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            seen.note(&unit);
            outcome
        }
    };
    let run = queue.run(8, CancellationToken::new(), handler);
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends").unwrap()
}

async fn suite(url: &QueueUrl) {
    each_unit_once(&open(url, "once").await).await;
    payloads_arrive_as_they_were(&open(url, "payload").await).await;
    concurrency_is_kept(&open(url, "concurrency").await).await;
    a_key_is_queued_once(&open(url, "twice").await).await;
    ended_units_can_come_back(&open(url, "ended").await).await;
    again_waits_for_the_next_run(&open(url, "again").await).await;
    stop_finishes_what_is_in_hand(&open(url, "stop").await).await;
    a_panic_loses_nothing(&open(url, "panic").await).await;
    an_empty_queue_returns_at_once(&open(url, "empty").await).await;
    queues_do_not_mix(&open(url, "left").await, &open(url, "right").await).await;
    an_aborted_run_is_taken_over(&open(url, "aborted").await).await;
    units_pushed_during_a_run_are_run(Arc::new(open(url, "during").await)).await;
}

async fn open(url: &QueueUrl, name: &str) -> Queue {
    Queue::open(url, name).await.unwrap()
}

async fn each_unit_once(queue: &Queue) {
    let seen = Seen::default();
    assert_eq!(queue.push(units(0..300)).await.unwrap(), 300);
    let report = run(queue, &seen, Outcome::Done).await;
    assert_eq!(report, Report { done: 300, ..Report::default() });
    assert_eq!((seen.len(), seen.most()), (300, 1));
}

async fn payloads_arrive_as_they_were(queue: &Queue) {
    let sent = units(0..20);
    queue.push(sent.clone()).await.unwrap();
    let got = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&got);
    let handler = move |unit: Unit| {
        into.lock().unwrap().push(unit);
        async { Outcome::Done }
    };
    queue.run(3, CancellationToken::new(), handler).await.unwrap();
    let mut got = got.lock().unwrap().clone();
    got.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(got, sent);
}

async fn concurrency_is_kept(queue: &Queue) {
    queue.push(units(0..60)).await.unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (n, m) = (Arc::clone(&now), Arc::clone(&most));
    let handler = move |_| {
        let (now, most) = (Arc::clone(&n), Arc::clone(&m));
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, SeqCst);
            Outcome::Done
        }
    };
    queue.run(5, CancellationToken::new(), handler).await.unwrap();
    assert_eq!(most.load(SeqCst), 5);
}

async fn a_key_is_queued_once(queue: &Queue) {
    let seen = Seen::default();
    assert_eq!(queue.push([units(0..10), units(0..10)].concat()).await.unwrap(), 10);
    assert_eq!(queue.push(units(5..15)).await.unwrap(), 5);
    assert_eq!(queue.held().await.unwrap(), 15);
    assert_eq!(run(queue, &seen, Outcome::Done).await.done, 15);
    assert_eq!(seen.most(), 1);
}

async fn ended_units_can_come_back(queue: &Queue) {
    let seen = Seen::default();
    for (round, outcome) in [Outcome::Done, Outcome::Again, Outcome::Done].into_iter().enumerate() {
        assert_eq!(queue.push(units(0..10)).await.unwrap(), 10, "round {round}");
        run(queue, &seen, outcome).await;
    }
    assert_eq!((seen.len(), seen.most()), (10, 3));
    queue.push(units(0..10)).await.unwrap();
    assert_eq!(queue.clear().await.unwrap(), 10);
    assert_eq!(queue.push(units(0..10)).await.unwrap(), 10);
    queue.clear().await.unwrap();
}

async fn again_waits_for_the_next_run(queue: &Queue) {
    let seen = Seen::default();
    queue.push(units(0..20)).await.unwrap();
    let report = run(queue, &seen, Outcome::Again).await;
    assert_eq!(report, Report { again: 20, left: 20, ..Report::default() });
    assert_eq!(seen.most(), 1, "not tried twice in one run");
    // As a run does that finds its units in the store again: an empty push, then a run.
    queue.push(Vec::new()).await.unwrap();
    queue.push(units(20..21)).await.unwrap();
    assert_eq!(run(queue, &seen, Outcome::Done).await, Report { done: 21, ..Report::default() });
}

async fn stop_finishes_what_is_in_hand(queue: &Queue) {
    queue.push(units(0..200)).await.unwrap();
    let (stop, seen) = (CancellationToken::new(), Seen::default());
    let begun = Arc::new(AtomicUsize::new(0));
    let (s, n, b) = (stop.clone(), seen.clone(), Arc::clone(&begun));
    let handler = move |unit: Unit| {
        let (stop, seen, begun) = (s.clone(), n.clone(), Arc::clone(&b));
        async move {
            if begun.fetch_add(1, SeqCst) == 20 {
                stop.cancel();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen.note(&unit);
            Outcome::Done
        }
    };
    let report = queue.run(4, stop, handler).await.unwrap();
    assert_eq!(report.done, begun.load(SeqCst), "what began was finished");
    assert_eq!(report.done + report.left, 200);
    assert!(report.done < 40, "{report:?}");
    assert_eq!(run(queue, &seen, Outcome::Done).await.done, report.left);
    assert_eq!((seen.len(), seen.most()), (200, 1));
}

async fn a_panic_loses_nothing(queue: &Queue) {
    queue.push(units(0..30)).await.unwrap();
    let handler = |unit: Unit| async move {
        assert!(!unit.key.ends_with('3'), "a handler that panics");
        Outcome::Done
    };
    let report = queue.run(4, CancellationToken::new(), handler).await.unwrap();
    assert_eq!(report, Report { done: 28, panicked: 2, left: 2, ..Report::default() });
    assert_eq!(run(queue, &Seen::default(), Outcome::Done).await.done, 2);
}

async fn an_empty_queue_returns_at_once(queue: &Queue) {
    let begin = Instant::now();
    assert_eq!(run(queue, &Seen::default(), Outcome::Done).await, Report::default());
    assert!(begin.elapsed() < Duration::from_millis(500));
}

async fn queues_do_not_mix(left: &Queue, right: &Queue) {
    left.push(units(0..5)).await.unwrap();
    right.push(units(0..7)).await.unwrap();
    assert_eq!(run(left, &Seen::default(), Outcome::Done).await.done, 5);
    assert_eq!(right.held().await.unwrap(), 7);
    right.clear().await.unwrap();
}

async fn an_aborted_run_is_taken_over(queue: &Queue) {
    queue.push(units(0..20)).await.unwrap();
    let run_on = queue.run(4, CancellationToken::new(), |_| std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(300), run_on).await.is_err());
    let seen = Seen::default();
    assert_eq!(run(queue, &seen, Outcome::Done).await, Report { done: 20, ..Report::default() });
    assert_eq!((seen.len(), seen.most()), (20, 1));
}

async fn units_pushed_during_a_run_are_run(queue: Arc<Queue>) {
    queue.push(units(0..1)).await.unwrap();
    let (inner, pushed) = (Arc::clone(&queue), Arc::new(AtomicUsize::new(1)));
    let handler = move |_| {
        let (queue, pushed) = (Arc::clone(&inner), Arc::clone(&pushed));
        async move {
            let next = pushed.fetch_add(1, SeqCst);
            if next < 10 {
                queue.push(units(next..next + 1)).await.unwrap();
            }
            Outcome::Done
        }
    };
    assert_eq!(queue.run(2, CancellationToken::new(), handler).await.unwrap().done, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    suite(&QueueUrl::File(folder.path().join("queue.sqlite"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_reopened_takes_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = QueueUrl::File(folder.path().join("queue.sqlite"));
    let first = open(&url, "killed").await;
    first.push(units(0..20)).await.unwrap();
    let run_on = first.run(4, CancellationToken::new(), |_| std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(300), run_on).await.is_err());
    drop(first);
    let second = open(&url, "killed").await;
    let begin = Instant::now();
    assert_eq!(run(&second, &Seen::default(), Outcome::Done).await.done, 20);
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_file_that_is_no_queue_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    std::fs::write(&path, "no database at all, but long enough to be read as a header of one ......")
        .unwrap();
    let error = Queue::open(&QueueUrl::File(path), "x").await.unwrap_err();
    assert!(error.to_string().contains("queue.sqlite"), "{error}");
}

/// Runs the suite in a database of its own, beside a table of migrations that is not apalis'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
async fn postgres() {
    let server = std::env::var("DIPTYCH_TEST_POSTGRES").expect("DIPTYCH_TEST_POSTGRES names a database");
    let host = sqlx::PgPool::connect(&server).await.unwrap();
    let name = format!("diptych_queue_{}", std::process::id());
    for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&host).await.unwrap();
    }
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for statement in [
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, \
         execution_time BIGINT NOT NULL)",
        "INSERT INTO _sqlx_migrations VALUES (1, 'ours', now(), true, '\\x00', 0)",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let url = QueueUrl::Postgres(url);
    suite(&url).await;
    silent_workers_are_relieved(&url).await;
    two_workers_share(&url).await;
    let ours: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations").fetch_all(&pool).await.unwrap();
    assert_eq!(ours, [(1, "ours".to_owned())]);
    pool.close().await;
    let gone = format!("DROP DATABASE {name} WITH (FORCE)");
    sqlx::query(sqlx::AssertSqlSafe(gone)).execute(&host).await.unwrap();
}

async fn silent_workers_are_relieved(url: &QueueUrl) {
    let beat = Duration::from_secs(1);
    let dead = open(url, "silent").await.with_heartbeat(beat);
    dead.push(units(0..20)).await.unwrap();
    let run_on = dead.run(4, CancellationToken::new(), |_| std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(300), run_on).await.is_err());
    let alive = open(url, "silent").await.with_heartbeat(beat);
    let seen = Seen::default();
    assert_eq!(run(&alive, &seen, Outcome::Done).await, Report { done: 20, ..Report::default() });
    assert_eq!(seen.most(), 1);
}

/// Calls longer than the time after which a silent worker is relieved: the pulse keeps them.
async fn two_workers_share(url: &QueueUrl) {
    let beat = Duration::from_secs(1);
    let (a, b) =
        (open(url, "shared").await.with_heartbeat(beat), open(url, "shared").await.with_heartbeat(beat));
    a.push(units(0..6)).await.unwrap();
    let seen = Seen::default();
    let handler = |seen: Seen| {
        move |unit: Unit| {
            let seen = seen.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(4)).await;
                seen.note(&unit);
                Outcome::Done
            }
        }
    };
    let (one, two) = tokio::join!(
        a.run(1, CancellationToken::new(), handler(seen.clone())),
        b.run(1, CancellationToken::new(), handler(seen.clone())),
    );
    assert_eq!(one.unwrap().done + two.unwrap().done, 6);
    assert_eq!((seen.len(), seen.most()), (6, 1));
}
