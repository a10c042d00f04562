//! `diptych publish`: the datasets, with their cards.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use diptych_stages::ctx::Progress;
use diptych_stages::publish::{self, Dataset};

use super::{print, stop_on_interrupt};
use crate::{Usage, place};

/// Writes the datasets.
pub async fn run(folder: &Path, to: &str, only: &[String], progress: Arc<dyn Progress>) -> Result<()> {
    let mut datasets = Vec::new();
    for name in only {
        let known: Vec<&str> = Dataset::ALL.iter().map(|dataset| dataset.as_str()).collect();
        let dataset = Dataset::from_word(name)
            .ok_or_else(|| Usage(format!("there is no dataset `{name}` (datasets: {})", known.join(", "))))?;
        if !datasets.contains(&dataset) {
            datasets.push(dataset);
        }
    }
    if datasets.is_empty() {
        datasets = Dataset::ALL.to_vec();
    }
    let ctx = place::open(folder, progress).await?;
    if to.contains("://") {
        if to.starts_with("hf://") && ctx.config.models.iter().any(|model| model.engine == "rehearsal") {
            return Err(Usage(
                "rehearsal pictures are composed from emoji drawings, no model made them: they are not published to a Hub. Name real models in sprint.toml, or a folder".to_owned(),
            )
            .into());
        }
        return Err(Usage(format!("{to}: publishing to a Hub does not exist yet; name a folder")).into());
    }
    stop_on_interrupt(&ctx.stop);
    for published in publish::to_folder(&ctx, Path::new(to), &datasets).await? {
        let (name, files) = (published.dataset.as_str(), published.shards);
        let to = to.trim_end_matches('/');
        print(&match published.rows {
            0 => format!("{name}: not written, for no pair is decided yet\n"),
            rows => {
                let noun = if files == 1 { "file" } else { "files" };
                format!("{to}/{name}: {rows} rows in {files} {noun}\n")
            }
        })?;
    }
    for outdated in publish::outdated(&ctx).await? {
        let rows = outdated.rows.len();
        let some: Vec<&str> = outdated.rows.iter().take(5).map(String::as_str).collect();
        print(&format!(
            "{} still holds {rows} rows that were removed since ({}{}): publish there again, or take it away\n",
            outdated.destination,
            some.join(", "),
            if rows > 5 { ", …" } else { "" }
        ))?;
    }
    Ok(())
}
