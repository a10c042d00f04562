//! Prompts through a chat step against a local server that takes 50 ms a call and allows 50 at once, as
//! a JSON line.
//!
//! `bench_pipeline [PROMPTS]`. The first pass writes a style prompt and one variant for each prompt, two
//! calls one after the other. Then the variant's template changes, so the second pass makes one call a
//! prompt (the style prompts are known): that is the one-call step. Both are whole stages: planning,
//! queueing, calls, recording. The ideal is what the server alone would take.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use diptych_core::Stage;
use diptych_core::config::{Overrides, SprintConfig};
use diptych_stages::Ctx;
use diptych_stages::ctx::{Silent, now};
use diptych_store::{Blobs, Store};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CALL: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 50;

const SPRINT: &str = r#"
[sprint]
slug = "pipeline"
title = "Pipeline"
[collect]
sources = ["prompts.txt"]
[clean]
languages = []
near_duplicates = 1.0
length = { min = 1, max = 5000 }
[screen]
text = []
image = []
[enhance]
engine = "writer"
evolutions = ["simplified"]
[chat.writer]
url = "URL"
model = "local"
concurrency = 50
[[models]]
key = "dev"
name = "rehearsal/noto"
engine = "rehearsal"
[[models]]
key = "sd"
name = "rehearsal/fluent"
engine = "rehearsal"
"#;

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
async fn main() -> Result<(), Failure> {
    let prompts: usize = std::env::args().nth(1).map_or(Ok(2_000), |text| text.parse())?;
    let server = Arc::new(Server {
        places: Semaphore::new(AT_ONCE),
        calls: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let routes = Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let folder = tempfile::tempdir()?;
    let lines: Vec<String> =
        (0..prompts).map(|number| format!("heron {number} over lake {}", number * 7)).collect();
    std::fs::write(folder.path().join("prompts.txt"), lines.join("\n"))?;
    measure(
        "sqlite:bench.db",
        &format!("sqlite:{}", folder.path().join("queue.db").display()),
        folder.path(),
        &url,
        &server,
    )
    .await?;
    if let Ok(postgres) = std::env::var("DIPTYCH_TEST_POSTGRES") {
        measure(&postgres, &postgres, folder.path(), &url, &server).await?;
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
async fn measure(
    database: &str,
    queue: &str,
    folder: &Path,
    url: &str,
    server: &Server,
) -> Result<(), Failure> {
    let store = Store::open(database, folder).await?;
    let none = Overrides::from_variables(std::iter::empty::<(String, String)>());
    let slug = format!("pipeline-{}", std::process::id());
    let config = SPRINT.replace("URL", url).replace("\"pipeline\"", &format!("\"{slug}\""));
    let templates = folder.join("templates");
    if templates.exists() {
        std::fs::remove_dir_all(&templates)?;
    }
    let ctx = Ctx {
        sprint: store.sprint(&slug, now()).await?,
        store,
        blobs: Blobs::open("file:blobs", folder)?,
        config: Arc::new(SprintConfig::parse("sprint.toml", &config, &none)?),
        folder: folder.to_owned(),
        queue: queue.to_owned(),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    };
    diptych_stages::run(&ctx, &[Stage::Collect, Stage::Clean, Stage::ScreenPrompts]).await?;
    for calls_each in [2, 1] {
        if calls_each == 1 {
            std::fs::create_dir_all(&templates)?;
            std::fs::write(templates.join("simplified.txt"), "Shorter: {style_prompt}")?;
        }
        let before = server.calls.load(Ordering::Relaxed);
        let begun = Instant::now();
        diptych_stages::run(&ctx, &[Stage::Enhance]).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let calls = server.calls.load(Ordering::Relaxed) - before;
        let ideal = calls as f64 * CALL.as_secs_f64() / AT_ONCE as f64;
        println!(
            "{}",
            json!({
                "bench": "pipeline", "database": database.split(':').next(), "calls_each": calls_each, "calls": calls,
                "refused": server.refused.load(Ordering::Relaxed), "seconds": seconds, "ideal_seconds": ideal,
                "times_ideal": seconds / ideal,
            })
        );
    }
    ctx.store.close().await;
    Ok(())
}

struct Server {
    places: Semaphore,
    calls: AtomicU64,
    refused: AtomicU64,
}

async fn complete(
    State(server): State<Arc<Server>>,
    Json(request): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let Ok(_place) = server.places.try_acquire() else {
        server.refused.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::TOO_MANY_REQUESTS, Json(json!({"error": {"message": "too many at once"}})));
    };
    server.calls.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(CALL).await;
    let asked = request["messages"].as_array().and_then(|all| all.last()).map(|last| last["content"].clone());
    let words = asked.as_ref().and_then(Value::as_str).unwrap_or_default().split_whitespace().count();
    (
        StatusCode::OK,
        Json(json!({
            "id": "call", "object": "chat.completion", "model": "local",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "A grey heron over a still lake in the morning light"}}],
            "usage": {"prompt_tokens": words, "completion_tokens": 12, "total_tokens": words + 12},
        })),
    )
}
