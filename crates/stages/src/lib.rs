//! The product's table of contents: one module a stage of a sprint, or a duty.
//!
//! A batch stage reads rows that earlier stages wrote and writes its own. Its silhouette is
//! `run(&Ctx) -> Result<()>`: it asks [`flow`] which units are pending, does them, and records each
//! in one transaction; to resume is to run again. The counts of all stages come from [`flow`] too.

pub mod alerts;
pub mod annotate;
pub mod annotators;
pub mod backup;
pub mod begin;
pub mod board;
pub mod clean;
pub mod collect;
pub mod contact_sheet;
pub mod ctx;
pub mod demo;
pub mod engines;
pub mod enhance;
pub mod flow;
pub mod generate;
pub mod import;
pub mod open;
pub mod pair;
pub mod phrase;
pub mod publish;
pub mod results;
pub mod review;
pub mod safety;
pub mod screen;
pub mod spending;
pub mod terms;
pub mod work;

pub use ctx::{Ctx, Progress};
pub use flow::{Counts, Flow};

use diptych_core::Stage;

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A source of prompts cannot be used.
    #[error("source {name}: {reason}")]
    Source {
        /// The file or address.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// There is nothing to work on.
    #[error("{0}")]
    Nothing(String),
    /// The budget does not allow the next call.
    #[error(
        "the budget of {max:.2} is spent ({spent:.2} so far, the next call may cost {next:.4}): raise `max` in [budget] and run again"
    )]
    Budget {
        /// What may be spent.
        max: f64,
        /// What was spent.
        spent: f64,
        /// What the next call may cost.
        next: f64,
    },
    /// An engine cannot be used as it is configured.
    #[error("{0}")]
    Engine(String),
    /// What somebody asked for cannot be done; the text says why.
    #[error("{0}")]
    Refused(String),
    /// A threshold was changed from a page after the configuration was read.
    #[error(
        "a threshold was changed from a page since sprint.toml was read; what was made is kept: run again to go on"
    )]
    SettingsChanged,
    /// The person at the keyboard wanted to stop.
    #[error("interrupted: what was in flight is finished and kept; run again to go on")]
    Interrupted,
    /// A file of the sprint's folder cannot be read or written.
    #[error("{path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A template of the sprint's folder cannot be used.
    #[error("{0}")]
    Template(String),
    /// The dataset cannot be written.
    #[error("the dataset cannot be written")]
    Dataset(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue failed.
    #[error("the queue of units failed")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Rows or blobs could not be read or written.
    #[error(transparent)]
    Store(#[from] diptych_store::StoreError),
    /// Part of the work panicked: a defect of the program.
    #[error("a worker of stage `{0}` crashed; what was done is kept: run again, and report this")]
    Crashed(Stage),
}

/// What a stage gives.
pub type Result<T, E = StageError> = std::result::Result<T, E>;

/// Runs these stages in order. Each is done before the next begins.
///
/// # Errors
/// The first stage that stops.
pub async fn run(ctx: &Ctx, stages: &[Stage]) -> Result<()> {
    open::check(ctx).await?;
    for stage in stages {
        match stage {
            Stage::Collect => collect::run(ctx).await?,
            Stage::Clean => clean::run(ctx).await?,
            Stage::ScreenPrompts | Stage::ScreenVariants | Stage::ScreenImages => {
                screen::run(ctx, *stage).await?;
            }
            Stage::Enhance => enhance::run(ctx).await?,
            Stage::Generate => generate::run(ctx).await?,
            Stage::Pair => pair::run(ctx).await?,
        }
        ctx.progress.end();
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
    }
    Ok(())
}
