//! What every stage is given: where rows and blobs are, what the sprint wants, and how to tell
//! people what is going on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diptych_core::config::{Overrides, SprintConfig};
use diptych_core::{SprintId, Stage};
use diptych_store::{Blobs, Millis, Store};
use tokio_util::sync::CancellationToken;

/// What every stage is given.
#[derive(Clone)]
pub struct Ctx {
    /// The server's rows.
    pub store: Store,
    /// The server's blobs.
    pub blobs: Blobs,
    /// The sprint.
    pub sprint: SprintId,
    /// What it wants.
    pub config: Arc<SprintConfig>,
    /// How many settings had been changed from a page before that was read. What was planned by an older one is
    /// not taken for pairs.
    pub settings: i64,
    /// The folder that holds its `sprint.toml`; relative sources start here.
    pub folder: PathBuf,
    /// Where units that call an engine queue up: `sqlite:PATH` of a file of its own, or the
    /// PostgreSQL database.
    pub queue: String,
    /// Cancelled when the person at the keyboard wants to stop: what is in flight is finished.
    pub stop: CancellationToken,
    /// Who hears how far a stage is.
    pub progress: Arc<dyn Progress>,
    /// Whether units that have failed are tried again.
    pub retry_failed: bool,
    /// Only this many prompts are taken past clean.
    pub first: Option<usize>,
}

impl Ctx {
    /// What the sprint's `sprint.toml` says now.
    ///
    /// # Errors
    /// Where it cannot be read, or is no configuration.
    pub fn read_again(&self, overrides: &Overrides) -> crate::Result<SprintConfig> {
        let path = self.folder.join("sprint.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| crate::StageError::File { path: path.display().to_string(), source })?;
        SprintConfig::parse("sprint.toml", &text, overrides)
            .map_err(|error| crate::StageError::Refused(error.to_string()))
    }
}

/// Somebody who hears how far a stage is.
pub trait Progress: Send + Sync {
    /// A stage begins; `total` units are to be done, where that is known.
    fn begin(&self, stage: Stage, total: Option<u64>);
    /// So many more units are done.
    fn advance(&self, units: u64);
    /// The stage has ended.
    fn end(&self);
    /// Something that a person should read.
    fn note(&self, message: &str);
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Stage, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// Milliseconds since 1970, UTC.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
