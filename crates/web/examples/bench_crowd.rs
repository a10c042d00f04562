//! A crowd of open pages: each person has a connection of their own, looks at a pair for 5 to 60 seconds, answers,
//! fetches both pictures of the next one, and asks every 15 seconds how the sprint goes, as the page does.
//!
//! `bench_crowd [PEOPLE] [MINUTES]` (10,000 for 10 minutes). The server is a process of its own, on SQLite in a
//! temporary folder; `DIPTYCH_TEST_POSTGRES` names another database. Prints one JSON line; the server's memory is
//! what Linux says of it.

mod bench;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::{ANSWERS, Failure, Head, percentiles, request};
use diptych_store::{EVERY_PROMPT, Store};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const SLUG: &str = "crowd";

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's lines are its output")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, url, folder] = &arguments[..]
        && serve == "serve"
    {
        return serve_crowd(url, Path::new(folder));
    }
    let number =
        |place: usize, otherwise: u64| arguments.get(place).map_or(Ok(otherwise), |text| text.parse());
    let (people, minutes) = (number(0, 10_000)? as usize, number(1, 10)?);
    let folder = std::env::temp_dir().join(format!("diptych-bench-crowd-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let url = std::env::var("DIPTYCH_TEST_POSTGRES").unwrap_or_else(|_| "sqlite:crowd.db".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{}", runtime.block_on(measure(&url, &folder, people, Duration::from_secs(60 * minutes)))?);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// The server's process: says where it listens, and ends with its input.
#[allow(clippy::print_stdout, reason = "the address is for who has started it")]
fn serve_crowd(url: &str, folder: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let ctx = bench::sprint(url, folder, SLUG).await?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        println!("{}", listener.local_addr()?);
        let ends = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
        let stop = async move { _ = ends.await };
        diptych_web::serve(listener, bench::server(&ctx)?, None, stop).await?;
        ctx.store.close().await;
        Ok(())
    })
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// The most memory that it ever had, in megabytes.
    fn most_memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
    }
}

/// What everybody has seen.
#[derive(Default)]
struct Seen {
    acknowledged: AtomicU64,
    pictures: AtomicU64,
    picture_bytes: AtomicU64,
    errors: AtomicU64,
    answer: Mutex<Vec<f64>>,
    take: Mutex<Vec<f64>>,
    picture: Mutex<Vec<f64>>,
    progress: Mutex<Vec<f64>>,
}

async fn measure(url: &str, folder: &Path, people: usize, how_long: Duration) -> Result<Value, Failure> {
    let ctx = bench::sprint(url, folder, SLUG).await?;
    let images = bench::images(&ctx, 64).await?;
    // As many answers as everybody could give, and a half more.
    let answers = people as f64 * how_long.as_secs_f64() / 32.0;
    let pairs = (answers * 1.5) as usize / bench::OVERLAP as usize + 1000;
    let visitors = bench::fill(&ctx, pairs, &images, people).await?;
    ctx.store.close().await;

    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", url])
        .arg(folder)
        // As the files in deploy/ start it.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    let stdout = child.stdout.take().ok_or("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut address)?;
    let (server, address) = (Server(child), address.trim().to_owned());

    let seen = Arc::new(Seen::default());
    let begun = Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    for (number, visitor) in visitors.iter().enumerate() {
        let (seen, address, session) = (Arc::clone(&seen), address.clone(), visitor.session.clone());
        crowd.spawn(async move {
            // They come one after the other, within the first half minute.
            tokio::time::sleep(Duration::from_millis(number as u64 * 30_000 / people as u64)).await;
            if let Err(error) = look(&address, &session, number, begun + how_long, &seen).await {
                // Whoever is turned away or cut off has met an error.
                seen.errors.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(error, "somebody stopped");
                if seen.errors.load(Ordering::Relaxed) < 4 {
                    #[allow(clippy::print_stderr, reason = "what went wrong is for who measures")]
                    {
                        eprintln!("person {number}: {error}");
                    }
                }
            }
        });
    }
    while crowd.join_next().await.is_some() {}
    let (seconds, memory) = (begun.elapsed().as_secs_f64(), server.most_memory());
    drop(server);
    let store = Store::open(url, folder).await?;
    let mut kept = 0;
    for visitor in &visitors {
        kept += store.responses_of(&ctx.sprint, &visitor.id, 0).await?.0;
    }
    let rows = store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
    let over = rows.iter().filter(|pair| pair.answered > pair.overlap).count();
    store.close().await;
    let acknowledged = seen.acknowledged.load(Ordering::Relaxed);
    let times = async |of: &Mutex<Vec<f64>>| percentiles(std::mem::take(&mut *of.lock().await));
    // They stand in the order in which they came: whether it gets slower with time, or was disturbed for a while.
    let answers = seen.answer.lock().await.clone();
    let tenths = answers.chunks(answers.len().div_ceil(10).max(1));
    let p99_by_tenth: Vec<Value> = tenths.map(|tenth| percentiles(tenth.to_vec())["p99"].clone()).collect();
    Ok(json!({
        "bench": "crowd", "database": url.split(':').next(), "people": people, "pairs": pairs, "seconds": seconds,
        "answers": acknowledged, "answers_a_second": acknowledged as f64 / seconds,
        "errors": seen.errors.load(Ordering::Relaxed), "server_memory_mb": memory,
        "answer_ms": times(&seen.answer).await, "answer_p99_ms_by_tenth": p99_by_tenth, "take_ms": times(&seen.take).await,
        "picture_ms": times(&seen.picture).await, "progress_ms": times(&seen.progress).await,
        "pictures_mb": seen.picture_bytes.load(Ordering::Relaxed) as f64 / 1e6,
        "lost": acknowledged as i64 - kept, "pairs_over_overlap": over,
    }))
}

/// One person and their page.
async fn look(
    address: &str,
    session: &str,
    number: usize,
    until: Instant,
    seen: &Seen,
) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(4096, stream);
    let mut random = number as u64 * 2_654_435_761 + 88_172_645_463_325_252;
    let mut asked = Instant::now();
    loop {
        let take = request("POST", &format!("/api/v1/sprints/{SLUG}/assignments"), session, r#"{"count":3}"#);
        let taken = timed(&mut stream, &take, 200, &seen.take).await?;
        let taken: Value = serde_json::from_slice(&taken)?;
        for assignment in taken["assignments"].as_array().cloned().unwrap_or_default() {
            for side in ["left", "right"] {
                let url = assignment[side]["url"].as_str().unwrap_or_default();
                let get = request("GET", &format!("{url}?w=480"), session, "");
                let bytes = timed(&mut stream, &get, 200, &seen.picture).await?;
                seen.pictures.fetch_add(1, Ordering::Relaxed);
                seen.picture_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut looks = Duration::from_millis(5_000 + random % 55_000);
            loop {
                let wait = Duration::from_secs(15).saturating_sub(asked.elapsed()).min(looks);
                if Instant::now() + wait > until {
                    tokio::time::sleep_until(until.into()).await;
                    return Ok(());
                }
                tokio::time::sleep(wait).await;
                looks -= wait;
                if looks.is_zero() {
                    break;
                }
                asked = Instant::now();
                let get = request("GET", &format!("/api/v1/sprints/{SLUG}/progress"), session, "");
                timed(&mut stream, &get, 200, &seen.progress).await?;
            }
            let id = assignment["id"].as_str().unwrap_or_default();
            let answer = ANSWERS[random as usize % ANSWERS.len()];
            let body = format!(r#"{{"answer":"{answer}","duration_ms":5000}}"#);
            let put = request("PUT", &format!("/api/v1/assignments/{id}/response"), session, &body);
            timed(&mut stream, &put, 201, &seen.answer).await?;
            seen.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A call over a connection that stays open, and how long it took in milliseconds.
async fn timed(
    stream: &mut BufReader<TcpStream>,
    request: &str,
    wanted: u16,
    times: &Mutex<Vec<f64>>,
) -> Result<Vec<u8>, Failure> {
    let begun = Instant::now();
    stream.get_mut().write_all(request.as_bytes()).await?;
    let (mut head, mut line) = (Head::default(), String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        if !head.read(&line)? {
            break;
        }
    }
    let mut answer = vec![0; head.length];
    stream.read_exact(&mut answer).await?;
    times.lock().await.push(begun.elapsed().as_secs_f64() * 1e3);
    if head.status != wanted {
        return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&answer)).into());
    }
    Ok(answer)
}
