//! Finding and opening a server and its sprints on disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use diptych_core::config::{Overrides, ServerConfig, SprintConfig, StorageConfig};
use diptych_stages::ctx::{Ctx, Progress, now};
use diptych_store::{Blobs, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::Usage;

/// A server's folder and configuration.
pub struct Server {
    /// Relative paths of its storage start here.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: ServerConfig,
    /// What the environment says in place of the files.
    pub overrides: Overrides,
    /// Whether the folder has a `diptych.toml`: then sprints below it share its storage.
    pub hosts_many: bool,
}

/// A sprint's folder and configuration.
pub struct Sprint {
    /// The folder that holds `sprint.toml`.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: Arc<SprintConfig>,
}

impl Server {
    /// The server that this folder belongs to: the nearest `diptych.toml` here or above, or else the
    /// folder by itself with the defaults.
    pub fn find(folder: &Path) -> Result<Self> {
        let overrides = Overrides::from_variables(std::env::vars());
        overrides.unknown_sections()?;
        let start =
            std::path::absolute(folder).with_context(|| format!("the folder {}", folder.display()))?;
        for candidate in start.ancestors() {
            let file = candidate.join("diptych.toml");
            if file.is_file() {
                let config = ServerConfig::parse(&shown(&file), &read(&file)?, &overrides)?;
                return Ok(Self { folder: candidate.to_owned(), config, overrides, hosts_many: true });
            }
        }
        let config = ServerConfig::parse("diptych.toml", "", &overrides)?;
        Ok(Self { folder: start, config, overrides, hosts_many: false })
    }

    /// The sprint of this folder.
    pub fn sprint(&self, folder: &Path) -> Result<Sprint> {
        let file = folder.join("sprint.toml");
        if !file.is_file() {
            return Err(Usage(format!(
                "there is no sprint.toml in {}: name a sprint's folder with -C, or make one with `diptych new`",
                folder.display()
            ))
            .into());
        }
        let config = SprintConfig::parse(&shown(&file), &read(&file)?, &self.overrides)?;
        let folder =
            std::path::absolute(folder).with_context(|| format!("the folder {}", folder.display()))?;
        Ok(Sprint { folder, config: Arc::new(config) })
    }

    /// Every sprint of the server: the folder itself and those directly below it.
    pub fn sprints(&self) -> Result<Vec<Sprint>> {
        let mut found = Vec::new();
        if self.folder.join("sprint.toml").is_file() {
            found.push(self.sprint(&self.folder)?);
        }
        let entries = std::fs::read_dir(&self.folder)
            .with_context(|| format!("the folder {}", self.folder.display()))?;
        let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        folders.sort();
        for folder in folders.iter().filter(|folder| folder.join("sprint.toml").is_file()) {
            let sprint = self.sprint(folder)?;
            if let Some(twin) =
                found.iter().find(|known: &&Sprint| known.config.sprint.slug == sprint.config.sprint.slug)
            {
                return Err(Usage(format!(
                    "two sprints have the slug `{}`: {} and {}; change one of them",
                    sprint.config.sprint.slug,
                    twin.folder.display(),
                    folder.display()
                ))
                .into());
            }
            found.push(sprint);
        }
        Ok(found)
    }

    /// Opens the database and the blob store.
    pub async fn open(&self) -> Result<(Store, Blobs)> {
        let store = Store::open(&self.config.storage.database, &self.folder).await?;
        let blobs = Blobs::open(&self.config.storage.blobs, &self.folder)?;
        Ok((store, blobs))
    }

    /// Where units queue up: on SQLite a file of its own, because the queue changes settings of the
    /// connection that would weaken the database's promises.
    fn queue(&self, store: &Store) -> String {
        match self.config.storage.database.strip_prefix("sqlite:") {
            Some(path) => {
                let path = self.folder.join(path.trim_start_matches("//"));
                format!("sqlite:{}", path.with_extension("queue.db").display())
            }
            None => store.address().to_owned(),
        }
    }

    /// Refuses a sprint under another slug than the one under which people have answered: it would begin anew, and
    /// leave them nowhere. Where one database has several sprints nobody can tell.
    async fn check_slug(&self, slug: &str, store: &Store) -> Result<()> {
        let own = store.folder().is_some_and(|folder| folder == self.folder);
        if self.hosts_many || !own {
            return Ok(());
        }
        let answered = store.answered_sprints().await?;
        if let Some(was) = answered.first().filter(|_| !answered.iter().any(|known| known == slug)) {
            let why = format!(
                "people have answered in this sprint under the slug `{was}`, and sprint.toml has `{slug}` now: put it \
                 back, or begin a new sprint in another folder; nothing was changed"
            );
            return Err(Usage(why).into());
        }
        Ok(())
    }

    /// Everything that a stage is given.
    pub async fn ctx(
        &self,
        sprint: &Sprint,
        store: &Store,
        blobs: &Blobs,
        progress: Arc<dyn Progress>,
    ) -> Result<Ctx> {
        self.check_slug(&sprint.config.sprint.slug, store).await?;
        let id = store.sprint(&sprint.config.sprint.slug, now()).await?;
        // Counted before the configuration is read, which so is no older.
        let settings = store.settings_count(&id).await?;
        let mut ctx = Ctx {
            settings,
            store: store.clone(),
            blobs: blobs.clone(),
            sprint: id,
            config: Arc::clone(&sprint.config),
            folder: sprint.folder.clone(),
            queue: self.queue(store),
            stop: CancellationToken::new(),
            progress,
            retry_failed: false,
            first: None,
        };
        ctx.config = Arc::new(ctx.read_again(&self.overrides)?);
        if ctx.config.sprint.slug != sprint.config.sprint.slug {
            anyhow::bail!("the slug in sprint.toml was changed at this moment; try again");
        }
        Ok(ctx)
    }
}

/// Opens the sprint of this folder.
pub async fn open(folder: &Path, progress: Arc<dyn Progress>) -> Result<Ctx> {
    let server = Server::find(folder)?;
    let sprint = server.sprint(folder)?;
    let (store, blobs) = server.open().await?;
    server.ctx(&sprint, &store, &blobs, progress).await
}

/// A sprint that is only looked at.
pub struct Look {
    /// What there is of it.
    pub ctx: Ctx,
    /// Stands for a database that nobody has made yet.
    _empty: Option<TempDir>,
}

/// Opens the sprint of this folder for looking. Where the server has no database yet, an empty one stands for
/// it and goes when this is dropped: looking makes nothing.
pub async fn look(folder: &Path) -> Result<Look> {
    let progress = crate::progress::choose(true);
    let mut server = Server::find(folder)?;
    if Store::exists(&server.config.storage.database, &server.folder).await? {
        return Ok(Look { ctx: open(folder, progress).await?, _empty: None });
    }
    let sprint = server.sprint(folder)?;
    let empty = tempfile::tempdir().context("a temporary folder cannot be made")?;
    server.folder = empty.path().to_owned();
    server.config.storage = StorageConfig::default();
    let (store, blobs) = server.open().await?;
    let ctx = server.ctx(&sprint, &store, &blobs, progress).await?;
    Ok(Look { ctx, _empty: Some(empty) })
}

fn read(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Usage(format!("{} is not UTF-8 text: save it as UTF-8", shown(file))).into())
        }
        read => read.with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// A path as errors name it: as short as it can be written from here.
fn shown(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(&here).unwrap_or(file).display().to_string()
}

/// Held while the batch stages of a sprint run, so that two runs do not do the same work. The
/// system lets go of it when the process ends, however it ends.
pub struct RunLock(#[allow(dead_code)] File);

impl RunLock {
    /// Takes the lock.
    pub fn take(folder: &Path) -> Result<Self> {
        let hidden = folder.join(".diptych");
        std::fs::create_dir_all(&hidden).with_context(|| format!("{} cannot be made", hidden.display()))?;
        let path = hidden.join("run.lock");
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(anyhow::anyhow!(
                "another `diptych run` is at work in {}; wait until it is done, or end it",
                folder.display()
            )),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}
