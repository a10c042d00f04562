//! Collect: from the configured sources to prompts, each with its source and row.
//!
//! Rows stream from the file to the store, so a source may be larger than memory. With a `limit`,
//! the rows with the smallest seeded draw are kept: a sample that does not depend on the order of
//! reading, and needs no more memory than itself.

mod open;
mod rows;

use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;
use std::sync::Arc;

use diptych_core::{Stage, UnitKey, seed};
use diptych_store::prompts::{CollectedPrompt, SourceDrop};
use diptych_store::sprints::StageMark;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::ctx::now;
use crate::{Ctx, Result, StageError};

pub use rows::Row;

/// So many prompts go to the store in one transaction.
const BATCH: usize = 5_000;

/// What collect did, kept with its mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Prompts kept.
    pub prompts: u64,
    /// Rows that did not become prompts, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// A source, found and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// As it is named in rows and messages.
    name: Arc<str>,
    /// The local file; for an address, where it was downloaded to.
    path: std::path::PathBuf,
}

/// Collects, unless the sources and the configuration are those of the last time.
///
/// # Errors
/// Where a source is missing, empty or unreadable, or lacks the configured column.
pub async fn run(ctx: &Ctx) -> Result<()> {
    ctx.progress.begin(Stage::Collect, None);
    let sources = open::find(ctx).await?;
    let key = fingerprint(ctx, &sources)?;
    if ctx.store.stage_mark(&ctx.sprint, Stage::Collect).await?.is_some_and(|mark| mark.key == key) {
        return Ok(());
    }
    ctx.store.forget_source_drops(&ctx.sprint).await?;
    let report = match ctx.config.collect.limit {
        None => everything(ctx, &key, sources).await?,
        Some(limit) => sample(ctx, &key, sources, limit).await?,
    };
    if report.prompts == 0 {
        return Err(StageError::Nothing(format!(
            "no prompt was found in {}: check [collect] in sprint.toml",
            ctx.config.collect.sources.join(", ")
        )));
    }
    ctx.store.finish_collect(&ctx.sprint, &key).await?;
    let mark = StageMark { key, report: serde_json::to_string(&report).unwrap_or_default() };
    ctx.store.mark_stage(&ctx.sprint, Stage::Collect, mark, now()).await?;
    let malformed: u64 =
        report.dropped.iter().filter(|(reason, _)| *reason != "sampled_out").map(|(_, n)| n).sum();
    if malformed > 0 {
        ctx.progress.note(&format!("source rows that are no prompts: {malformed}"));
        for drop in ctx.store.source_drops(&ctx.sprint, 5).await? {
            ctx.progress.note(&format!("  {}, row {}: {}", drop.source, drop.source_row, drop.detail));
        }
        if malformed > 5 {
            ctx.progress.note("  … all of them are kept in the table source_drops");
        }
    }
    Ok(())
}

/// Changes where anything changes that collect depends on.
fn fingerprint(ctx: &Ctx, sources: &[Source]) -> Result<String> {
    let mut parts = vec![
        ctx.config.collect.column.clone(),
        ctx.config
            .collect
            .limit
            .map_or(String::new(), |limit| format!("{limit} {}", ctx.config.collect.seed)),
    ];
    for source in sources {
        let file = std::fs::metadata(&source.path).map_err(|error| unreadable(&source.name, &error))?;
        let modified = file.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        parts.push(format!("{} {} {modified:?}", source.name, file.len()));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(UnitKey::of(&parts).to_string())
}

pub(crate) fn unreadable(name: &str, error: &std::io::Error) -> StageError {
    StageError::Source { name: name.to_owned(), reason: format!("it cannot be read: {error}") }
}

/// The thread that reads.
type Reader = tokio::task::JoinHandle<Result<()>>;

/// Reads the sources on a thread of their own; what they hold comes through the channel.
fn read(ctx: &Ctx, sources: Vec<Source>) -> (mpsc::Receiver<(Arc<str>, Row)>, Reader) {
    let (sender, receiver) = mpsc::channel(4 * BATCH);
    let column = ctx.config.collect.column.clone();
    let stop = ctx.stop.clone();
    let reader = tokio::task::spawn_blocking(move || {
        for source in sources {
            rows::read(&source.name, &source.path, &column, &mut |row| {
                !stop.is_cancelled() && sender.blocking_send((Arc::clone(&source.name), row)).is_ok()
            })?;
        }
        Ok(())
    });
    (receiver, reader)
}

async fn everything(ctx: &Ctx, key: &str, sources: Vec<Source>) -> Result<Report> {
    let mut report = Report::default();
    let (mut rows, reader) = read(ctx, sources);
    let (mut prompts, mut drops) = (Vec::new(), Vec::new());
    let mut received = Vec::new();
    while rows.recv_many(&mut received, BATCH).await > 0 {
        for (source, row) in received.drain(..) {
            sort(source, row, &mut report, &mut prompts, &mut drops);
        }
        if prompts.len() >= BATCH {
            ctx.progress.advance(prompts.len() as u64);
            ctx.store.collect_prompts(&ctx.sprint, key, std::mem::take(&mut prompts)).await?;
        }
        if drops.len() >= BATCH {
            ctx.store.record_source_drops(&ctx.sprint, std::mem::take(&mut drops)).await?;
        }
    }
    reader.await.map_err(|_| StageError::Crashed(Stage::Collect))??;
    if ctx.stop.is_cancelled() {
        return Err(StageError::Interrupted);
    }
    ctx.store.collect_prompts(&ctx.sprint, key, prompts).await?;
    ctx.store.record_source_drops(&ctx.sprint, drops).await?;
    Ok(report)
}

/// A row that was drawn for the sample. Ordered by its draw, so that the heap's top is the first to go.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Drawn {
    draw: u64,
    place: u64,
    source: Arc<str>,
    source_row: i64,
    text: String,
}

async fn sample(ctx: &Ctx, key: &str, sources: Vec<Source>, limit: u64) -> Result<Report> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut report = Report::default();
    let (mut rows, reader) = read(ctx, sources);
    let mut heap: BinaryHeap<Drawn> = BinaryHeap::new();
    let (mut read_prompts, mut drops) = (Vec::new(), Vec::new());
    let mut place = 0;
    while let Some((source, row)) = rows.recv().await {
        sort(source, row, &mut report, &mut read_prompts, &mut drops);
        for prompt in read_prompts.drain(..) {
            let purpose = format!("sample {}", prompt.source);
            let draw = seed::draw(ctx.config.collect.seed, &purpose, prompt.source_row);
            let CollectedPrompt { source, source_row, text } = prompt;
            heap.push(Drawn { draw, place, source, source_row, text });
            place += 1;
            if heap.len() > limit {
                heap.pop();
                *report.dropped.entry("sampled_out".to_owned()).or_default() += 1;
                report.prompts -= 1;
            }
        }
    }
    reader.await.map_err(|_| StageError::Crashed(Stage::Collect))??;
    if ctx.stop.is_cancelled() {
        return Err(StageError::Interrupted);
    }
    let mut drawn = heap.into_vec();
    drawn.sort_unstable_by_key(|row| row.place);
    let mut prompts: Vec<_> = drawn
        .into_iter()
        .map(|row| CollectedPrompt { source: row.source, source_row: row.source_row, text: row.text })
        .collect();
    while !prompts.is_empty() {
        let rest = prompts.split_off(prompts.len().min(BATCH));
        ctx.progress.advance(prompts.len() as u64);
        ctx.store.collect_prompts(&ctx.sprint, key, std::mem::replace(&mut prompts, rest)).await?;
    }
    ctx.store.record_source_drops(&ctx.sprint, drops).await?;
    Ok(report)
}

fn sort(
    source: Arc<str>,
    row: Row,
    report: &mut Report,
    prompts: &mut Vec<CollectedPrompt>,
    drops: &mut Vec<SourceDrop>,
) {
    report.rows += 1;
    match row.outcome {
        Ok(text) => {
            report.prompts += 1;
            prompts.push(CollectedPrompt { source, source_row: row.number, text });
        }
        Err((reason, detail)) => {
            *report.dropped.entry(reason.to_owned()).or_default() += 1;
            let source = source.to_string();
            drops.push(SourceDrop { source, source_row: row.number, reason: reason.to_owned(), detail });
        }
    }
}

/// The file's name without what says how it is packed: `a/b.jsonl.gz` gives `jsonl` and `gz`.
pub(crate) fn format_of(path: &Path) -> (String, Option<&'static str>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (inner, packing) = if let Some(inner) = name.strip_suffix(".gz") {
        (inner, Some("gz"))
    } else if let Some(inner) = name.strip_suffix(".zst") {
        (inner, Some("zst"))
    } else {
        (name.as_str(), None)
    };
    let format = inner.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_owned());
    (format, packing)
}
