//! 64 clients that take pairs three at a time, as the page does, and answer each in its own call, as
//! JSON lines.
//!
//! `bench_votes [PAIRS]`: each pair wants three answers. SQLite in a temporary folder, and PostgreSQL
//! where `DIPTYCH_TEST_POSTGRES` names a database (it is filled and left so). Server and clients share
//! the machine. At the end the database is opened anew and every acknowledged answer is looked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diptych_core::config::{Overrides, ServerConfig, SprintConfig, template};
use diptych_core::{Evolution, ImageHash, Name, PairId, PromptIndex, Split, UnitKey};
use diptych_stages::Ctx;
use diptych_stages::ctx::{Silent, now};
use diptych_store::pairs::{Logs, NewPair, PairSide};
use diptych_store::people::PersonKind;
use diptych_store::{Blobs, EVERY_PROMPT, Store};
use diptych_web::{App, HostedSprint};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CLIENTS: usize = 64;
const OVERLAP: u32 = 3;
/// Words that the page's answers are made of; skips would not count.
const ANSWERS: [&str; 4] = ["left", "right", "both_good", "both_bad"];

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's lines are its output")]
fn main() -> Result<(), Failure> {
    let pairs: usize = std::env::args().nth(1).map_or(Ok(8_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("diptych-bench-votes-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("{}", measure("sqlite:votes.db", &folder, pairs)?);
    match std::env::var("DIPTYCH_TEST_POSTGRES") {
        Ok(url) => println!("{}", measure(&url, &folder, pairs)?),
        Err(_) => eprintln!("PostgreSQL is not measured: DIPTYCH_TEST_POSTGRES names no database"),
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// What one client has seen, in milliseconds a call.
#[derive(Default)]
struct Seen {
    acknowledged: usize,
    take: Vec<f64>,
    answer: Vec<f64>,
}

fn measure(url: &str, folder: &std::path::Path, pairs: usize) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let slug = format!("votes-{}", std::process::id());
    let (address, tokens, ctx) = runtime.block_on(serve(url, folder, &slug, pairs))?;

    let begun = Instant::now();
    let clients: Vec<_> = tokens
        .into_iter()
        .enumerate()
        .map(|(number, token)| {
            let slug = slug.clone();
            std::thread::spawn(move || vote(address, &token, &slug, number))
        })
        .collect();
    let mut all = Seen::default();
    for client in clients {
        let seen = client.join().map_err(|_| "a client stopped")??;
        all.acknowledged += seen.acknowledged;
        all.take.extend(seen.take);
        all.answer.extend(seen.answer);
    }
    let seconds = begun.elapsed().as_secs_f64();

    let kept = runtime.block_on(async {
        ctx.stop.cancel();
        ctx.store.close().await;
        let store = Store::open(url, folder).await?;
        let rows = store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
        let kept: usize = store.responses(&ctx.sprint, EVERY_PROMPT).await?.values().map(Vec::len).sum();
        let over = rows.iter().filter(|pair| pair.answered > pair.overlap).count();
        store.close().await;
        Ok::<_, Failure>((kept, over))
    })?;
    let (kept, over) = kept;
    Ok(json!({
        "bench": "votes", "database": url.split(':').next(), "clients": CLIENTS, "answers": all.acknowledged,
        "seconds": seconds, "answers_a_second": all.acknowledged as f64 / seconds,
        "answer_ms": percentiles(all.answer), "take_ms": percentiles(all.take),
        "lost": all.acknowledged as i64 - kept as i64, "pairs_over_overlap": over,
    }))
}

fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share) as usize).copied();
    json!({"p50": at(0.5), "p99": at(0.99), "most": at(1.0)})
}

/// Fills a sprint and serves it.
async fn serve(
    url: &str,
    folder: &std::path::Path,
    slug: &str,
    pairs: usize,
) -> Result<(SocketAddr, Vec<String>, Ctx), Failure> {
    let store = Store::open(url, folder).await?;
    let sprint = store.sprint(slug, now()).await?;
    let rows = (0..pairs).map(pair).collect::<Result<Vec<_>, Failure>>()?;
    store.set_pairs(&sprint, EVERY_PROMPT, rows, OVERLAP, Logs::default(), now()).await?;
    let mut tokens = Vec::new();
    for number in 0..CLIENTS {
        let token = diptych_web::new_secret();
        let person =
            store.person(&Name::parse(&format!("{slug} {number}"))?, PersonKind::Simulated, now()).await?;
        store.add_token(&person.id, &token, now()).await?;
        tokens.push(token);
    }
    let toml = template::sprint_toml(slug, "Votes", &[]);
    let blobs = Blobs::open("file:blobs", folder)?;
    let ctx = Ctx {
        store: store.clone(),
        blobs: blobs.clone(),
        sprint,
        config: Arc::new(SprintConfig::parse(
            "sprint.toml",
            &toml,
            &Overrides::from_variables(std::iter::empty::<(String, String)>()),
        )?),
        folder: folder.to_owned(),
        queue: "sqlite:queue.db".to_owned(),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    // All clients come from one address, and each answers as fast as it can.
    let mut config = ServerConfig::default();
    (config.limits.per_address, config.limits.per_person) = (1_000_000, 1_000_000);
    let app =
        App::new(store, blobs, [HostedSprint::new(ctx.clone(), Overrides::none())], &config, None, |_| None)?;
    let stop = ctx.stop.clone();
    tokio::spawn(diptych_web::serve(listener, app, None, async move { stop.cancelled().await }));
    Ok((address, tokens, ctx))
}

fn pair(number: usize) -> Result<NewPair, Failure> {
    let side = |model: &str| PairSide {
        model: model.to_owned(),
        image_key: UnitKey::of(&["image", model, &number.to_string()]),
        image: ImageHash::of(format!("{model} {number}").as_bytes()),
        picture: PairId::new().as_str().to_owned(),
    };
    let key = i64::try_from(number)?;
    Ok(NewPair {
        key: UnitKey::of(&["pair", &number.to_string()]),
        row_id: format!("{number}-simplified-dev-sd"),
        prompt_index: PromptIndex(key),
        evolution: Evolution::Simplified,
        category: "Animals".to_owned(),
        sub_category: "Birds".to_owned(),
        variant: UnitKey::of(&["variant", &number.to_string()]),
        prompt: format!("a heron, number {number}"),
        split: Split::Train,
        first: side("dev"),
        second: side("sd"),
        canvas: (1024, 768),
        draw: key,
    })
}

/// One person: three pairs at a time, an answer each, until nothing is left for them.
fn vote(address: SocketAddr, token: &str, slug: &str, number: usize) -> Result<Seen, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut seen = Seen::default();
    loop {
        let begun = Instant::now();
        let path = format!("/api/v1/sprints/{slug}/assignments");
        let (status, taken) = call(&mut reader, "POST", &path, token, r#"{"count":3}"#)?;
        seen.take.push(begun.elapsed().as_secs_f64() * 1e3);
        if status != 200 {
            return Err(format!("{status}: {taken}").into());
        }
        let held = taken["assignments"].as_array().cloned().unwrap_or_default();
        if held.is_empty() {
            return Ok(seen);
        }
        for assignment in held {
            let id = assignment["id"].as_str().unwrap_or_default();
            let answer = ANSWERS[(seen.acknowledged + number) % ANSWERS.len()];
            let body = format!(r#"{{"answer":"{answer}","duration_ms":1500}}"#);
            let begun = Instant::now();
            let (status, reply) =
                call(&mut reader, "PUT", &format!("/api/v1/assignments/{id}/response"), token, &body)?;
            seen.answer.push(begun.elapsed().as_secs_f64() * 1e3);
            if status != 201 {
                return Err(format!("{status}: {reply}").into());
            }
            seen.acknowledged += 1;
        }
    }
}

/// A call over a connection that stays open.
fn call(
    reader: &mut BufReader<TcpStream>,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> Result<(u16, Value), Failure> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all(request.as_bytes())?;
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            status = rest.get(..3).unwrap_or_default().parse()?;
        } else if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok((status, serde_json::from_slice(&answer)?))
}
