//! What a server sees to by itself: that it follows files, database and other servers, and that organizers hear of
//! what stands out.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use diptych_core::SprintState;
use diptych_stages::Ctx;
use diptych_store::Millis;

use crate::hosted::HostedSprint;
use crate::problem::Problem;
use crate::propose;
use crate::state::App;

/// How often each `sprint.toml` is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long sessions that are over are kept, in milliseconds: where a clock was ahead, they were not.
const KEPT_OVER: Millis = 30 * 24 * 3600 * 1000;

impl App {
    /// Forgets, now and then, who has long not asked, and every hour the sessions that have long been over; mends what was
    /// noted while the clock was ahead. Never ends.
    pub(crate) async fn forget(self) {
        for minute in 1_u64.. {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.limits().forget();
            // Not at once: a machine's clock may be wrong until it has asked for the time.
            if minute % 60 != 5 {
                continue;
            }
            let now = diptych_stages::ctx::now();
            if let Err(error) = self.store().forget_sessions(now - KEPT_OVER).await {
                tracing::error!(%error, "sessions that are over cannot be forgotten");
            }
            if let Err(error) = self.store().set_back(now).await {
                tracing::error!(%error, "what was noted while the clock was ahead cannot be mended");
            }
        }
    }

    /// Takes up what changes in any `sprint.toml` while the server runs. Never ends.
    pub(crate) async fn watch(self) {
        let mut seen: BTreeMap<String, Option<SystemTime>> = BTreeMap::new();
        if let Err(problem) = propose::finish_accepted(&self).await {
            tracing::error!(?problem, "accepted proposals cannot be looked for");
        }
        loop {
            if let Err(problem) = self.find_new_sprints().await {
                tracing::error!(?problem, "new sprints cannot be looked for");
            }
            if let Err(problem) = self.read_running().await {
                tracing::error!(?problem, "the database does not say which sprints are open");
            }
            for (slug, sprint) in &self.sprints() {
                let file = sprint.ctx().folder.join("sprint.toml");
                let changed = tokio::fs::metadata(&file).await.and_then(|file| file.modified()).ok();
                let before = seen.insert(slug.clone(), changed);
                // The first time too: it may have changed while the server started.
                if (before != Some(changed) || sprint.unsettled())
                    && let Err(problem) = sprint.look_again().await
                {
                    tracing::error!(?problem, "what follows from the changed sprint.toml cannot be recorded");
                }
                if let Err(problem) = sprint.order_line().await {
                    tracing::error!(?problem, slug, "the line of pairs cannot be put in order");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes up which sprints are open, and what is announced.
    pub(crate) async fn read_running(&self) -> Result<(), Problem> {
        let mut running = self.store().running().await?;
        for (_, sprint) in self.sprints() {
            if let Some(running) = running.remove(&sprint.ctx().sprint) {
                sprint.set_running(running).await;
            }
        }
        Ok(())
    }

    /// Looks, now and then, whether organizers must hear of something. Never ends.
    pub(crate) async fn look_out(self) {
        loop {
            let now = diptych_stages::ctx::now();
            for (slug, sprint) in self.sprints() {
                let addresses = sprint.addresses().most_from_one(now);
                // Where all is answered, or nobody is asked, it is quiet as it should be.
                let done = sprint.is_done().await.unwrap_or(false);
                if done || sprint.state() != SprintState::Open {
                    sprint.set_alerts(Vec::new());
                    continue;
                }
                match diptych_stages::alerts::alerts(&sprint.ctx(), addresses, now).await {
                    Ok(alerts) => sprint.set_alerts(alerts),
                    Err(error) => {
                        tracing::error!(%error, slug, "it cannot be told whether something stands out");
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }

    /// Begins to host the sprints whose folders have come below the server's since it was started: accepted here, or
    /// by another server that shares the folder.
    pub(crate) async fn find_new_sprints(&self) -> Result<(), Problem> {
        let Some(server) = self.folder() else { return Ok(()) };
        let Some((_, any)) = self.sprints().pop() else { return Ok(()) };
        let known: HashSet<PathBuf> =
            self.sprints().into_iter().map(|(_, sprint)| sprint.ctx().folder.clone()).collect();
        let mut entries = tokio::fs::read_dir(server).await.map_err(|error| unreadable(&error))?;
        while let Some(entry) = entries.next_entry().await.map_err(|error| unreadable(&error))? {
            let folder = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if hidden || known.contains(&folder) || !folder.join("sprint.toml").is_file() {
                continue;
            }
            let ctx = Ctx { folder, ..Ctx::clone(&any.ctx()) };
            let config = match ctx.read_again(&any.overrides) {
                Ok(config) if self.sprint(&config.sprint.slug).is_err() => config,
                Ok(_) => continue,
                Err(error) => {
                    tracing::debug!(%error, folder = %ctx.folder.display(), "this folder is no sprint yet");
                    continue;
                }
            };
            let sprint = self.store().sprint(&config.sprint.slug, diptych_stages::ctx::now()).await?;
            let settings = self.store().settings_count(&sprint).await?;
            let ctx = Ctx { sprint, settings, config: Arc::new(config), ..ctx };
            let hosted = HostedSprint::new(ctx, any.overrides.clone());
            self.host(hosted);
        }
        Ok(())
    }
}

fn unreadable(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "the server's folder cannot be read");
    Problem::internal("The server's folder cannot be read.")
}
