//! Duplicates and the whole clean stage over many prompts, as JSON lines.
//!
//! `bench_prompts dedupe|clean [PROMPTS]…` makes prompts by recombining and lightly editing the real ones
//! (the same ones each time), 100,000 and 1,000,000 unless told otherwise. `dedupe` is exact and near
//! duplicates in memory; with `DIPTYCH_TEST_PYTHON` set to an interpreter that has `datasketch`, that
//! searches the first size in the same run. `clean` is the stage with its database, after `collect`.
//! Memory is the peak of the process, the prompts themselves included.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use diptych_core::Stage;
use diptych_core::config::{Overrides, SprintConfig, template};
use diptych_stages::Ctx;
use diptych_stages::ctx::{Silent, now};
use diptych_store::{Blobs, Store};
use diptych_text::duplicates::{ExactDuplicates, NearDuplicates};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const USERS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/user-prompts.jsonl"));
const PARTI: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/parti-prompts.tsv"));
const BATCH: usize = 20_000;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let sizes: Vec<usize> = arguments.map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() { vec![100_000, 1_000_000] } else { sizes };
    let folder = std::env::temp_dir().join(format!("diptych-bench-prompts-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (place, size) in sizes.into_iter().enumerate() {
        let prompts = make(size)?;
        let line = match what.as_str() {
            "dedupe" => dedupe(&folder, &prompts, place == 0)?,
            "clean" => clean(&folder, &prompts).await?,
            other => return Err(format!("there is no benchmark `{other}`: dedupe or clean").into()),
        };
        println!("{line}");
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn dedupe(folder: &Path, prompts: &[String], with_peer: bool) -> Result<Value, Failure> {
    let begun = Instant::now();
    let (mut exact, mut near) = (ExactDuplicates::new(), NearDuplicates::new(0.8));
    let (mut exact_drops, mut near_drops) = (0, 0);
    for batch in prompts.chunks(BATCH) {
        let found = exact.push_batch(batch);
        let firsts: Vec<&str> = batch
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(text, _)| text.as_str())
            .collect();
        exact_drops += batch.len() - firsts.len();
        near_drops += near.push_batch(&firsts).iter().flatten().count();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut line = json!({
        "bench": "dedupe", "prompts": prompts.len(), "seconds": seconds, "exact": exact_drops,
        "near": near_drops, "peak_mb": peak_mb(),
    });
    if with_peer && let Ok(python) = std::env::var("DIPTYCH_TEST_PYTHON") {
        let file = folder.join("peer.json");
        std::fs::write(&file, serde_json::to_vec(prompts)?)?;
        let output = Command::new(python).args(["-c", DATASKETCH]).arg(&file).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let peer: Value = serde_json::from_slice(&output.stdout)?;
        line["times_faster_than_datasketch"] = json!(peer["seconds"].as_f64().unwrap_or_default() / seconds);
        line["datasketch"] = peer;
    }
    Ok(line)
}

/// Exact duplicates by case-folded text, near ones by `MinHash` of word trigrams.
const DATASKETCH: &str = r#"
import json, sys, time
from datasketch import MinHash, MinHashLSH
prompts = json.load(open(sys.argv[1]))
start = time.perf_counter()
seen, exact, near = set(), 0, 0
lsh = MinHashLSH(threshold=0.8, num_perm=128)
for number, prompt in enumerate(prompts):
    text = prompt.casefold()
    if text in seen:
        exact += 1
        continue
    seen.add(text)
    words = text.split()
    shingles = {" ".join(words[at:at + 3]).encode() for at in range(max(1, len(words) - 2))}
    sketch = MinHash(num_perm=128)
    sketch.update_batch(list(shingles))
    if lsh.query(sketch):
        near += 1
    else:
        lsh.insert(number, sketch)
print(json.dumps({"seconds": time.perf_counter() - start, "exact": exact, "near": near}))
"#;

/// The stage with its database: reading rows, deciding, writing.
async fn clean(folder: &Path, prompts: &[String]) -> Result<Value, Failure> {
    let file = format!("prompts-{}.txt", prompts.len());
    std::fs::write(folder.join(&file), prompts.join("\n"))?;
    let store = Store::open(&format!("sqlite:{}.db", prompts.len()), folder).await?;
    let none = Overrides::from_variables(std::iter::empty::<(String, String)>());
    let toml = template::sprint_toml("clean", "Clean", &[file]);
    let ctx = Ctx {
        sprint: store.sprint("clean", now()).await?,
        store,
        blobs: Blobs::open("file:blobs", folder)?,
        config: Arc::new(SprintConfig::parse("sprint.toml", &toml, &none)?),
        folder: folder.to_owned(),
        queue: "sqlite:queue.db".to_owned(),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    };
    let begun = Instant::now();
    diptych_stages::run(&ctx, &[Stage::Collect]).await?;
    let collect_seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    diptych_stages::run(&ctx, &[Stage::Clean]).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let counts = ctx.store.clean_counts(&ctx.sprint).await?;
    ctx.store.close().await;
    Ok(json!({
        "bench": "clean", "prompts": prompts.len(), "seconds": seconds, "collect_seconds": collect_seconds,
        "outcomes": counts, "peak_mb": peak_mb(),
    }))
}

/// `count` prompts: a tenth repeats an earlier one (half of them in capitals), three tenths are an earlier
/// one with a word changed, the rest joins parts of two real ones.
fn make(count: usize) -> Result<Vec<String>, Failure> {
    let mut real = Vec::new();
    for line in USERS.lines() {
        let row: Value = serde_json::from_str(line)?;
        real.extend(row["prompt"].as_str().map(str::to_owned));
    }
    real.extend(PARTI.lines().skip(1).filter_map(|line| line.split('\t').next()).map(str::to_owned));
    let mut state = 7_u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % n
    };
    let mut prompts: Vec<String> = Vec::with_capacity(count);
    while prompts.len() < count {
        let kind = below(10);
        let prompt = if prompts.is_empty() || kind >= 4 {
            let (a, b) = (&real[below(real.len())], &real[below(real.len())]);
            let (a, b): (Vec<&str>, Vec<&str>) = (a.split(' ').collect(), b.split(' ').collect());
            let (head, tail) = (1 + below(a.len()), below(b.len()));
            format!("{} {}", a[..head].join(" "), b[tail..].join(" "))
        } else {
            let earlier = &prompts[below(prompts.len())];
            if kind == 0 {
                if below(2) == 0 { earlier.to_uppercase() } else { earlier.clone() }
            } else {
                let mut words: Vec<&str> = earlier.split(' ').collect();
                let other: Vec<&str> = real[below(real.len())].split(' ').collect();
                let at = below(words.len());
                words[at] = other[below(other.len())];
                words.join(" ")
            }
        };
        prompts.push(prompt);
    }
    Ok(prompts)
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
