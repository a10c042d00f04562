//! Measures the queue: 2,000 units of a 50 ms call at concurrency 50, of which 2.0 s is the ideal.
//!
//! `cargo run -p diptych-queue --example bench_queue [postgres://… [UNITS]]` prints one JSON line per
//! backend; the queue `bench` in that database is emptied.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use diptych_queue::{Outcome, Queue, QueueUrl, Unit};
use tokio_util::sync::CancellationToken;

const CONCURRENCY: usize = 50;
const CALL: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("diptych-queue-bench-{}.sqlite", std::process::id()));
    let mut places = vec![("sqlite", QueueUrl::File(file.clone()))];
    places.extend(std::env::args().nth(1).map(|url| ("postgres", QueueUrl::Postgres(url))));
    let count: usize = std::env::args().nth(2).map_or(Ok(2000), |units| units.parse())?;
    for (backend, url) in places {
        let queue = Queue::open(&url, "bench").await?;
        queue.clear().await?;
        let units = (0..count)
            .map(|i| Unit {
                key: format!("{i:064x}"),
                payload: format!(r#"{{"prompt":"a cat, number {i}"}}"#),
            })
            .collect();
        let begin = Instant::now();
        queue.push(units).await?;
        let pushed = begin.elapsed();
        let report = queue
            .run(CONCURRENCY, CancellationToken::new(), |_| async {
                tokio::time::sleep(CALL).await;
                Outcome::Done
            })
            .await?;
        let total = begin.elapsed();
        let ideal = CALL * u32::try_from(count / CONCURRENCY)?;
        println!(
            "{}",
            serde_json::json!({
                "bench": "queue", "backend": backend, "units": count, "done": report.done, "left": report.left,
                "push_s": pushed.as_secs_f64(), "total_s": total.as_secs_f64(),
                "times_ideal": total.as_secs_f64() / ideal.as_secs_f64(),
            })
        );
    }
    for end in ["", "-wal", "-shm"] {
        // The file goes with the temporary folder if this fails.
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    Ok(())
}
