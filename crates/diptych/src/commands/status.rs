//! `diptych status`: the counts of every stage.

use std::path::Path;

use anyhow::Result;
use diptych_stages::results::notes;
use diptych_stages::{Ctx, Flow};
use serde_json::json;

use super::{print, print_json};
use crate::{place, table};

/// Prints the counts.
pub async fn run(folder: &Path, as_json: bool) -> Result<()> {
    let look = place::look(folder).await?;
    let ctx = &look.ctx;
    if !as_json {
        return print(&table_of(ctx).await?);
    }
    let flow = Flow::load(ctx).await?;
    let sprint = ctx.store.progress(&ctx.sprint).await?;
    print_json(&json!({
        "sprint": ctx.config.sprint.slug,
        "stages": flow.counts,
        "responses": {"submitted": sprint.submitted, "wanted": sprint.wanted},
        "pairs": {"total": sprint.pairs, "completed": sprint.completed},
        "notes": notes(&ctx.config).iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

/// The counts for people.
pub async fn table_of(ctx: &Ctx) -> Result<String> {
    let flow = Flow::load(ctx).await?;
    let rows: Vec<Vec<String>> = flow
        .counts
        .iter()
        .map(|counts| {
            let dropped: Vec<String> =
                counts.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            vec![
                counts.stage.to_owned(),
                counts.r#in.to_string(),
                counts.out.to_string(),
                counts.pending.to_string(),
                counts.failed.to_string(),
                counts.review.to_string(),
                dropped.join(", "),
            ]
        })
        .collect();
    let mut text = table::render(&["stage", "in", "out", "pending", "failed", "review", "dropped"], &rows);
    let sprint = ctx.store.progress(&ctx.sprint).await?;
    text.push_str(&format!(
        "{} of {} responses; {} of {} pairs complete\n",
        sprint.submitted, sprint.wanted, sprint.completed, sprint.pairs
    ));
    for note in notes(&ctx.config) {
        text.push_str(&note.to_string());
        text.push('\n');
    }
    Ok(text)
}
