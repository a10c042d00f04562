//! What handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diptych_core::SprintId;
use diptych_core::config::SprintConfig;
use diptych_stages::Ctx;
use diptych_stages::results::Report;
use diptych_store::{Blobs, Store};
use tokio::sync::Mutex;

use crate::problem::Problem;

/// How old a report may be before it is made again.
const REPORT_AGE: Duration = Duration::from_secs(5);

/// A sprint that the server hosts.
pub struct HostedSprint {
    ctx: Ctx,
    report: Mutex<Option<(Instant, Arc<Report>)>>,
}

impl HostedSprint {
    /// Hosts this sprint.
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, report: Mutex::new(None) }
    }

    pub(crate) fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    pub(crate) fn config(&self) -> &SprintConfig {
        &self.ctx.config
    }

    /// The report, at most a few seconds old. One request makes it, the others wait.
    pub(crate) async fn report(&self) -> Result<Arc<Report>, Problem> {
        let mut kept = self.report.lock().await;
        if let Some((made, report)) = &*kept
            && made.elapsed() < REPORT_AGE
        {
            return Ok(Arc::clone(report));
        }
        let report = Arc::new(diptych_stages::results::report(&self.ctx).await?);
        *kept = Some((Instant::now(), Arc::clone(&report)));
        Ok(report)
    }
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    blobs: Blobs,
    sprints: BTreeMap<String, HostedSprint>,
    /// Only so many pictures are encoded at once, so that answers are not kept waiting.
    encoders: tokio::sync::Semaphore,
}

impl App {
    /// A server of these sprints.
    pub fn new(store: Store, blobs: Blobs, sprints: impl IntoIterator<Item = HostedSprint>) -> Self {
        let sprints =
            sprints.into_iter().map(|sprint| (sprint.config().sprint.slug.clone(), sprint)).collect();
        let encoders =
            tokio::sync::Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
        Self { inner: Arc::new(Inner { store, blobs, sprints, encoders }) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn encoders(&self) -> &tokio::sync::Semaphore {
        &self.inner.encoders
    }

    pub(crate) fn sprints(&self) -> impl Iterator<Item = (&String, &HostedSprint)> {
        self.inner.sprints.iter()
    }

    /// The sprint with this id, where this server hosts it.
    pub(crate) fn sprint_of(&self, id: Option<&SprintId>) -> Option<&HostedSprint> {
        self.inner.sprints.values().find(|sprint| Some(&sprint.ctx().sprint) == id)
    }

    pub(crate) fn sprint(&self, slug: &str) -> Result<&HostedSprint, Problem> {
        self.inner
            .sprints
            .get(slug)
            .ok_or_else(|| Problem::not_found(format!("There is no sprint `{slug}`.")))
    }
}
