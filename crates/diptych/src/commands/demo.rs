//! `diptych demo`: a whole sprint in one command, with nothing but this program.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use diptych_core::Stage;
use diptych_core::config::template;
use diptych_stages::ctx::Progress;
use diptych_stages::{StageError, demo};

use super::{print, stop_on_interrupt};
use crate::{Usage, place};

/// By this slug a sprint is known as a demo.
const SLUG: &str = "demo";

/// Sixty real prompts, chosen for variety.
pub(super) const PROMPTS: &str = include_str!("../../data/demo-prompts.txt");

/// Makes the sprint where there is none, runs it, adds simulated votes, and serves it.
pub async fn run(
    folder: &Path,
    addr: SocketAddr,
    prompts: usize,
    no_serve: bool,
    progress: Arc<dyn Progress>,
) -> Result<()> {
    let config = folder.join("sprint.toml");
    if !config.exists() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let chosen: Vec<&str> =
            PROMPTS.lines().filter(|line| !line.is_empty()).take(prompts.max(1)).collect();
        let list = folder.join("prompts.txt");
        if list.exists() {
            return Err(Usage(format!(
                "{} is yours: name a new folder for the demo; nothing was changed",
                list.display()
            ))
            .into());
        }
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
        };
        write(&list, &(chosen.join("\n") + "\n"))?;
        let text = template::sprint_toml(SLUG, "A rehearsal", &["prompts.txt".to_owned()])
            .replace("size = [768, 768]", "size = [512, 512]")
            .replace("public_results = false", "public_results = true ");
        write(&config, &text)?;
    }
    let sprint = place::Server::find(folder)?.sprint(folder)?;
    if sprint.config.sprint.slug != SLUG
        || sprint.config.models.iter().any(|model| model.engine != "rehearsal")
    {
        return Err(Usage(format!(
            "{} is a sprint of yours, and a demo would add simulated answers to it: name a new folder; nothing was changed",
            config.display()
        ))
        .into());
    }
    {
        let ctx = place::open(folder, Arc::clone(&progress)).await?;
        let _lock = place::RunLock::take(&ctx.folder)?;
        let waits = stop_on_interrupt(&ctx.stop);
        diptych_stages::run(&ctx, Stage::ALL).await?;
        let simulated = demo::simulate(&ctx).await?;
        let (first, second) = (&ctx.config.models[0].key, &ctx.config.models[1].key);
        let mut text = format!(
            "{} answers were added by {} simulated annotators, who are named as such. They\n",
            if simulated.answers > 0 { simulated.answers.to_string() } else { "No new".to_owned() },
            simulated.names.len()
        );
        for (category, taste) in &simulated.tastes {
            text.push_str(&format!("  {category:14} {}\n", taste.says(first, second)));
        }
        text.push_str("The other categories are yours.\n");
        text.push_str(&format!(
            "One pair was reported as toxic: sign in as `{}` on this machine and look at Review.\n\n",
            simulated.moderator
        ));
        text.push_str(&super::report::for_people(&diptych_stages::results::report(&ctx).await?));
        text.push('\n');
        print(&text)?;
        ctx.store.close().await;
        // Whoever serves hears of the next one.
        waits.abort();
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted.into());
        }
    }
    if no_serve { Ok(()) } else { super::serve::run(folder, addr, progress).await }
}
