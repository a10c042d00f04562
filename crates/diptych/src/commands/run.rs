//! `diptych run`: the batch stages, and what they would cost.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use diptych_core::Stage;
use diptych_stages::ctx::Progress;
use diptych_stages::{Flow, contact_sheet};

use super::{print, stop_on_interrupt};
use crate::{Usage, place, table};

/// The stages that the command line names, in their order.
pub fn wanted(named: &[String], until: Option<&str>) -> Result<Vec<Stage>> {
    let stages = |word: &str| {
        Stage::from_command_line(word).ok_or_else(|| {
            let known: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
            Usage(format!(
                "there is no stage `{word}` (stages: {}, or `screen` for all three)",
                known.join(", ")
            ))
        })
    };
    let mut wanted: Vec<Stage> = Vec::new();
    for word in named {
        wanted.extend(stages(word)?);
    }
    if named.is_empty() {
        wanted = Stage::ALL.to_vec();
    }
    if let Some(word) = until {
        let last = stages(word)?.into_iter().max();
        wanted.retain(|stage| Some(*stage) <= last);
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}

/// Runs the stages.
pub async fn run(
    folder: &Path,
    stages: &[Stage],
    first: Option<usize>,
    retry_failed: bool,
    progress: Arc<dyn Progress>,
) -> Result<()> {
    let mut ctx = place::open(folder, progress).await?;
    let _lock = place::RunLock::take(&ctx.folder)?;
    ctx.first = first;
    ctx.retry_failed = retry_failed;
    stop_on_interrupt(&ctx.stop);
    for warning in diptych_stages::spending::unpriced(&ctx.config) {
        ctx.progress.note(&warning);
    }
    let outcome = run_stages(folder, &ctx, stages).await;
    let mut postponed = None;
    if outcome.is_ok() {
        if first.is_some() && stages.contains(&Stage::Generate) {
            for path in contact_sheet::write(&ctx).await? {
                print(&format!("{}\n", path.display()))?;
            }
        } else {
            print(&super::status::table_of(&ctx).await?)?;
            postponed = Flow::load(&ctx).await?.counts.into_iter().find(|counts| {
                let engine = [Stage::Clean, Stage::Enhance, Stage::Generate]
                    .iter()
                    .find(|one| one.as_str() == counts.stage);
                counts.pending > 0 && engine.is_some_and(|stage| stages.contains(stage))
            });
        }
    }
    ctx.store.close().await;
    outcome?;
    // Done means that nothing is left to do.
    match postponed {
        Some(counts) => Err(anyhow::anyhow!(
            "{} units of {} are still pending: run again to go on",
            counts.pending,
            counts.stage
        )),
        None => Ok(()),
    }
}

/// Runs the stages. Pairs are made by the configuration of that moment: an organizer may have applied another
/// threshold meanwhile, and what it removed must not come back.
async fn run_stages(folder: &Path, ctx: &diptych_stages::Ctx, stages: &[Stage]) -> Result<()> {
    let (before, pair): (Vec<Stage>, Vec<Stage>) = stages.iter().partition(|stage| **stage < Stage::Pair);
    diptych_stages::run(ctx, &before).await?;
    if !before.is_empty()
        && !pair.is_empty()
        && place::Server::find(folder)?.sprint(folder)?.config != ctx.config
    {
        anyhow::bail!(
            "sprint.toml was changed while this went on; what was made is kept: run again to go on"
        );
    }
    Ok(diptych_stages::run(ctx, &pair).await?)
}

/// Prints what each stage would take.
pub async fn dry(folder: &Path, stages: &[Stage], first: Option<usize>) -> Result<()> {
    let mut look = place::look(folder).await?;
    look.ctx.first = first;
    let ctx = &look.ctx;
    let flow = Flow::load(ctx).await?;
    let estimates = diptych_stages::spending::estimate(ctx, &flow);
    let mut total = 0.0;
    let mut rows = Vec::new();
    for estimate in estimates.iter().filter(|estimate| stages.contains(&estimate.stage)) {
        total += estimate.cost;
        rows.push(vec![
            estimate.stage.to_string(),
            format!("{}{}", if estimate.at_most { "up to " } else { "" }, estimate.units),
            estimate.calls.to_string(),
            if estimate.cost > 0.0 { format!("{:.2}", estimate.cost) } else { "–".to_owned() },
        ]);
    }
    let mut text = table::render(&["stage", "units", "calls", "cost at most"], &rows);
    if total > 0.0 {
        text.push_str(&format!("in all, at most: {total:.2}\n"));
    }
    for warning in diptych_stages::spending::unpriced(&ctx.config) {
        text.push_str(&format!("{warning}\n"));
    }
    if flow.counts.first().is_some_and(|collect| collect.r#in == 0) {
        text.push_str(
            "nothing is collected yet: run `diptych run --until clean` first, it calls no engine\n",
        );
    }
    print(&text)
}
