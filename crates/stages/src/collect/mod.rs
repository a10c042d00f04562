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
use diptych_rows::Packing;
use diptych_store::prompts::{CollectedPrompt, SourceDrop};
use diptych_store::sprints::StageMark;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::ctx::now;
use crate::{Ctx, Result, StageError};

pub use diptych_rows::Row;

/// So many prompts go to the store in one transaction.
const BATCH: usize = 5_000;

/// Rows are handed on in chunks of about so many bytes: rows differ in length a thousandfold.
const CHUNK_BYTES: usize = 1 << 20;

/// Prompts wait for their transaction up to about so many bytes.
const BATCH_BYTES: usize = 16 << 20;

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
    // Its counts stay known until the new ones are, but are those of no configuration any more.
    if let Some(mark) = ctx.store.stage_mark(&ctx.sprint, Stage::Collect).await? {
        let broken_off = StageMark { key: String::new(), report: mark.report };
        ctx.store.mark_stage(&ctx.sprint, Stage::Collect, broken_off, now()).await?;
    }
    ctx.store.forget_source_drops(&ctx.sprint).await?;
    let report = match ctx.config.collect.limit {
        None => everything(ctx, &key, sources).await?,
        Some(limit) => sample(ctx, &key, sources, limit).await?,
    };
    if report.prompts == 0 {
        let why =
            ctx.store.source_drops(&ctx.sprint, 1).await?.into_iter().next().map_or(String::new(), |drop| {
                format!(
                    "; the first of {} rows that are none: row {}: {}",
                    report.rows, drop.source_row, drop.detail
                )
            });
        return Err(StageError::Nothing(format!(
            "no prompt was found in {}{why}; check [collect] in sprint.toml",
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

/// How many rows of a file hold a prompt in the field `prompt`, and how many do not.
///
/// # Errors
/// Where the file as a whole cannot be used.
pub(crate) fn count(name: &str, path: &Path) -> Result<(u64, u64)> {
    let (mut prompts, mut others) = (0, 0);
    rows::read(name, path, "prompt", &mut |row| {
        let count = if row.outcome.is_ok() { &mut prompts } else { &mut others };
        *count += 1;
        true
    })?;
    Ok((prompts, others))
}

pub(crate) fn unreadable(name: &str, error: &std::io::Error) -> StageError {
    StageError::Source { name: name.to_owned(), reason: format!("it cannot be read: {error}") }
}

/// The thread that reads.
type Reader = tokio::task::JoinHandle<Result<()>>;

/// Rows of one source, in their order, and the source's place among the sources.
struct Chunk {
    source: Arc<str>,
    place: usize,
    rows: Vec<Row>,
}

/// Reads the sources on a thread of their own; what they hold comes through the channel.
fn read(ctx: &Ctx, sources: Vec<Source>) -> (mpsc::Receiver<Chunk>, Reader) {
    let (sender, receiver) = mpsc::channel(4);
    let column = ctx.config.collect.column.clone();
    let stop = ctx.stop.clone();
    let reader = tokio::task::spawn_blocking(move || {
        for (place, source) in sources.into_iter().enumerate() {
            let (mut rows, mut bytes) = (Vec::new(), 0);
            let chunk = |rows: Vec<Row>| Chunk { source: Arc::clone(&source.name), place, rows };
            rows::read(&source.name, &source.path, &column, &mut |row| {
                // Asked at each row: the ones that are too long to keep can take their time.
                if stop.is_cancelled() {
                    return false;
                }
                bytes += row.outcome.as_ref().map_or(0, String::len);
                rows.push(row);
                if rows.len() < BATCH && bytes < CHUNK_BYTES {
                    return true;
                }
                bytes = 0;
                sender.blocking_send(chunk(std::mem::take(&mut rows))).is_ok()
            })?;
            // Where nobody listens any more, the listener knows why.
            sender.blocking_send(chunk(rows)).ok();
        }
        Ok(())
    });
    (receiver, reader)
}

/// What is on its way to the store.
#[derive(Default)]
struct Waiting {
    prompts: Vec<CollectedPrompt>,
    bytes: usize,
    drops: Vec<SourceDrop>,
}

impl Waiting {
    fn add(&mut self, prompt: CollectedPrompt) {
        self.bytes += prompt.text.len();
        self.prompts.push(prompt);
    }

    /// Writes what is enough for a transaction, or everything at the end.
    async fn write(&mut self, ctx: &Ctx, key: &str, everything: bool) -> Result<()> {
        if self.prompts.len() >= BATCH || self.bytes >= BATCH_BYTES || everything {
            ctx.progress.advance(self.prompts.len() as u64);
            self.bytes = 0;
            ctx.store.collect_prompts(&ctx.sprint, key, std::mem::take(&mut self.prompts)).await?;
        }
        if self.drops.len() >= BATCH || everything {
            ctx.store.record_source_drops(&ctx.sprint, std::mem::take(&mut self.drops)).await?;
        }
        Ok(())
    }
}

async fn everything(ctx: &Ctx, key: &str, sources: Vec<Source>) -> Result<Report> {
    let (mut report, mut waiting) = (Report::default(), Waiting::default());
    let (mut chunks, reader) = read(ctx, sources);
    while let Some(chunk) = chunks.recv().await {
        for row in chunk.rows {
            if let Some(prompt) = sort(&chunk.source, row, &mut report, &mut waiting.drops) {
                waiting.add(prompt);
            }
        }
        waiting.write(ctx, key, false).await?;
    }
    reader.await.map_err(|_| StageError::Crashed(Stage::Collect))??;
    if ctx.stop.is_cancelled() {
        return Err(StageError::Interrupted);
    }
    waiting.write(ctx, key, true).await?;
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
    let (mut report, mut waiting) = (Report::default(), Waiting::default());
    let (mut chunks, reader) = read(ctx, sources);
    let mut heap: BinaryHeap<Drawn> = BinaryHeap::new();
    let mut place = 0;
    while let Some(chunk) = chunks.recv().await {
        // By the source's place, not its name: the same files give the same sample wherever they lie.
        let purpose = format!("sample {}", chunk.place);
        for row in chunk.rows {
            let Some(prompt) = sort(&chunk.source, row, &mut report, &mut waiting.drops) else { continue };
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
        waiting.write(ctx, key, false).await?;
    }
    reader.await.map_err(|_| StageError::Crashed(Stage::Collect))??;
    if ctx.stop.is_cancelled() {
        return Err(StageError::Interrupted);
    }
    let mut drawn = heap.into_vec();
    drawn.sort_unstable_by_key(|row| row.place);
    for row in drawn {
        waiting.add(CollectedPrompt { source: row.source, source_row: row.source_row, text: row.text });
        waiting.write(ctx, key, false).await?;
    }
    waiting.write(ctx, key, true).await?;
    Ok(report)
}

/// The row's prompt; a row that is none is counted and noted.
fn sort(
    source: &Arc<str>,
    row: Row,
    report: &mut Report,
    drops: &mut Vec<SourceDrop>,
) -> Option<CollectedPrompt> {
    report.rows += 1;
    match row.outcome {
        Ok(text) => {
            report.prompts += 1;
            Some(CollectedPrompt { source: Arc::clone(source), source_row: row.number, text })
        }
        Err((reason, detail)) => {
            *report.dropped.entry(reason.to_owned()).or_default() += 1;
            let source = source.to_string();
            drops.push(SourceDrop { source, source_row: row.number, reason: reason.to_owned(), detail });
            None
        }
    }
}

/// The file's name without what says how it is packed, and that: `a/b.jsonl.gz` gives `jsonl` and gzip.
pub(crate) fn format_of(path: &Path) -> (String, Option<Packing>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (inner, packing) = if let Some(inner) = name.strip_suffix(".gz") {
        (inner, Some(Packing::Gzip))
    } else if let Some(inner) = name.strip_suffix(".zst") {
        (inner, Some(Packing::Zstd))
    } else {
        (name.as_str(), None)
    };
    let format = inner.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_owned());
    (format, packing)
}
