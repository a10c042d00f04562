//! 10,000 people, signed in, on 64 connections: each takes pairs three at a time, as the page does, and answers each
//! in its own call; as JSON lines.
//!
//! `bench_votes [PAIRS] [PEOPLE] [RATE]`: each pair wants three answers; sessions, limits and checks are on. SQLite in
//! a temporary folder, and PostgreSQL where `DIPTYCH_TEST_POSTGRES` names a database (it is filled and left so). Server
//! and clients share the machine. At the end the database is opened anew and every acknowledged answer is looked for.
//!
//! Each database is measured twice. First everybody goes as fast as they can: how many answers a second that makes.
//! How long one takes follows from it then, whatever the server does: 64 connections that never pause wait 64 / rate
//! each (Little's law). So the second time calls are due at a steady pace, RATE answers a second (1,000), and each is
//! timed from the moment when it was due, also where the last one has made it late.

mod bench;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bench::{ANSWERS, Failure, Head, Visitor, percentiles, request};
use diptych_store::{EVERY_PROMPT, Store};
use serde_json::{Value, json};

const CLIENTS: usize = 64;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's lines are its output")]
fn main() -> Result<(), Failure> {
    let number = |place: usize, otherwise: usize| {
        std::env::args().nth(place).map_or(Ok(otherwise), |text| text.parse::<usize>())
    };
    let (pairs, people, rate) = (number(1, 20_000)?, number(2, 10_000)?, Some(number(3, 1000)?));
    let folder = std::env::temp_dir().join(format!("diptych-bench-votes-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("{}", measure("sqlite:votes.db", &folder, pairs, people, None)?);
    println!("{}", measure("sqlite:paced.db", &folder, pairs, people, rate)?);
    match std::env::var("DIPTYCH_TEST_POSTGRES") {
        Ok(url) => {
            println!("{}", measure(&url, &folder, pairs, people, None)?);
            println!("{}", measure(&url, &folder, pairs, people, rate)?);
        }
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

/// When the calls of one connection are due.
struct Pace {
    next: Instant,
    /// None: each as soon as the last one is answered.
    every: Option<Duration>,
}

impl Pace {
    /// So many answers a second by all connections; three of four calls are answers.
    fn new(rate: Option<usize>, number: usize) -> Self {
        let every = rate.map(|rate| Duration::from_secs_f64(CLIENTS as f64 * 0.75 / rate.max(1) as f64));
        // Spread over the time of a take and its answers, so that takes do not come all at once.
        let first = every.unwrap_or_default().mul_f64(4.0 * number as f64 / CLIENTS as f64);
        Self { next: Instant::now() + first, every }
    }

    /// Waits until the next call is due, and says when that was.
    fn due(&mut self) -> Instant {
        let Some(every) = self.every else { return Instant::now() };
        let due = self.next;
        self.next += every;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}

fn measure(
    url: &str,
    folder: &Path,
    pairs: usize,
    people: usize,
    rate: Option<usize>,
) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let slug = format!("{}-{}", if rate.is_some() { "paced" } else { "votes" }, std::process::id());
    let (ctx, address, visitors) = runtime.block_on(async {
        let ctx = bench::sprint(url, folder, &slug).await?;
        let images = bench::images(&ctx, 4).await?;
        let visitors = bench::fill(&ctx, pairs, &images, people).await?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (address, stop) = (listener.local_addr()?, ctx.stop.clone());
        let app = bench::server(&ctx)?;
        tokio::spawn(diptych_web::serve(listener, app, None, async move { stop.cancelled().await }));
        Ok::<_, Failure>((ctx, address, visitors))
    })?;

    let mut of_client: Vec<Vec<String>> = vec![Vec::new(); CLIENTS];
    for (number, Visitor { session, .. }) in visitors.iter().enumerate() {
        of_client[number % CLIENTS].push(session.clone());
    }
    let begun = Instant::now();
    let clients: Vec<_> = of_client
        .into_iter()
        .enumerate()
        .map(|(number, sessions)| {
            let slug = slug.clone();
            std::thread::spawn(move || vote(address, &sessions, &slug, number, Pace::new(rate, number)))
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

    let (kept, responses, over) = runtime.block_on(async {
        ctx.stop.cancel();
        ctx.store.close().await;
        let store = Store::open(url, folder).await?;
        let rows = store.pairs(&ctx.sprint, EVERY_PROMPT).await?;
        let responses: usize = store.responses(&ctx.sprint, EVERY_PROMPT).await?.values().map(Vec::len).sum();
        let mut kept = 0;
        for visitor in &visitors {
            kept += store.responses_of(&ctx.sprint, &visitor.id, 0).await?.0;
        }
        let over = rows.iter().filter(|pair| pair.answered > pair.overlap).count();
        store.close().await;
        Ok::<_, Failure>((kept, responses, over))
    })?;
    Ok(json!({
        "bench": "votes", "database": url.split(':').next(), "clients": CLIENTS, "people": people, "rate": rate,
        "answers": all.acknowledged, "checks_among_them": all.acknowledged - responses,
        "seconds": seconds, "answers_a_second": all.acknowledged as f64 / seconds,
        "answer_ms": percentiles(all.answer), "take_ms": percentiles(all.take),
        "lost": all.acknowledged as i64 - kept, "pairs_over_overlap": over,
    }))
}

/// People of one connection, in turn: three pairs, an answer each, until nothing is left for any of them.
fn vote(
    address: SocketAddr,
    sessions: &[String],
    slug: &str,
    number: usize,
    mut pace: Pace,
) -> Result<Seen, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut seen = Seen::default();
    let path = format!("/api/v1/sprints/{slug}/assignments");
    let mut in_vain = 0;
    // At a pace, who finds nothing is done: what follows is not answers.
    let patience = if pace.every.is_some() { 1 } else { sessions.len() };
    for session in sessions.iter().cycle() {
        let begun = pace.due();
        let (status, taken) = call(&mut reader, &request("POST", &path, session, r#"{"count":3}"#))?;
        seen.take.push(begun.elapsed().as_secs_f64() * 1e3);
        if status != 200 {
            return Err(format!("{status}: {taken}").into());
        }
        let held = taken["assignments"].as_array().cloned().unwrap_or_default();
        in_vain = if held.is_empty() { in_vain + 1 } else { 0 };
        if in_vain == patience {
            break;
        }
        for assignment in held {
            let id = assignment["id"].as_str().unwrap_or_default();
            let answer = ANSWERS[(seen.acknowledged + number) % ANSWERS.len()];
            let body = format!(r#"{{"answer":"{answer}","duration_ms":1500}}"#);
            let begun = pace.due();
            let path = format!("/api/v1/assignments/{id}/response");
            let (status, reply) = call(&mut reader, &request("PUT", &path, session, &body))?;
            seen.answer.push(begun.elapsed().as_secs_f64() * 1e3);
            if status != 201 {
                return Err(format!("{status}: {reply}").into());
            }
            seen.acknowledged += 1;
        }
    }
    Ok(seen)
}

/// A call over a connection that stays open.
fn call(reader: &mut BufReader<TcpStream>, request: &str) -> Result<(u16, Value), Failure> {
    reader.get_mut().write_all(request.as_bytes())?;
    let (mut head, mut line) = (Head::default(), String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if !head.read(&line)? {
            break;
        }
    }
    let mut answer = vec![0; head.length];
    reader.read_exact(&mut answer)?;
    Ok((head.status, serde_json::from_slice(&answer)?))
}
