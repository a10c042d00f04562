//! What handlers share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as PlainMutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use diptych_core::config::{ModelConfig, Names, Overrides, ServerConfig, SprintConfig};
use diptych_core::{PersonId, SprintId, SprintState};
use diptych_stages::annotators::Figures;
use diptych_stages::results::Report;
use diptych_stages::review::{Reviewer, Word};
use diptych_stages::terms::Terms;
use diptych_stages::{Ctx, StageError, open, review, safety};
use diptych_store::pairs::Progress;
use diptych_store::sprints::Running;
use diptych_store::{Blobs, Millis, Store};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Limits};
use crate::gates::Gates;
use crate::kept::{Board, Counts, Kept, Lately};
use crate::look::Cover;
use crate::openid::Provider;
use crate::problem::Problem;
use crate::pulse::Pulse;
use crate::session::CookieRules;

/// How old a report may be before it is made again.
const REPORT_AGE: Duration = Duration::from_secs(5);

/// The most places of a leaderboard.
const MOST_PLACES: i64 = 100;

const MINUTE: Millis = 60 * 1000;
const DAY: Millis = 24 * 60 * MINUTE;

/// How often each `sprint.toml` is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long after their last call a moderator is taken to be here.
const HERE: Duration = Duration::from_secs(120);

/// A sprint that the server hosts.
pub struct HostedSprint {
    ctx: RwLock<Arc<Ctx>>,
    /// Computed once a configuration: it is asked for at every taking of pairs.
    terms: RwLock<String>,
    overrides: Overrides,
    /// Held while the configuration changes; shared by decisions, which plan pairs by it. So none puts back what
    /// a newer configuration has just removed, and no change of the file is lost to another.
    changing: tokio::sync::RwLock<()>,
    /// Whether what follows from the configuration could not be recorded yet.
    unsettled: AtomicBool,
    report: Kept<Report>,
    figures: Kept<Vec<Figures>>,
    progress: Kept<Progress>,
    counts: Kept<Counts>,
    board: Kept<Board>,
    lately: Kept<Lately>,
    /// Whether people are asked, and what they are told: at most a second old.
    running: RwLock<Running>,
    /// What organizers must hear of, as of the last look.
    alerts: RwLock<Vec<String>>,
    cover: Cover,
    /// When each moderator was last heard of, by this server.
    moderators: PlainMutex<HashMap<PersonId, Instant>>,
}

impl HostedSprint {
    /// Hosts this sprint. `overrides` are those that its configuration was read with.
    pub fn new(ctx: Ctx, overrides: Overrides) -> Self {
        let terms = RwLock::new(Terms::of(&ctx.config).version);
        let (ctx, moderators) = (RwLock::new(Arc::new(ctx)), PlainMutex::default());
        let unsettled = AtomicBool::new(false);
        Self {
            ctx,
            terms,
            overrides,
            changing: Default::default(),
            unsettled,
            report: Kept::default(),
            figures: Kept::default(),
            progress: Kept::default(),
            counts: Kept::default(),
            board: Kept::default(),
            lately: Kept::default(),
            running: RwLock::new(Running { state: SprintState::Open, announcement: None }),
            alerts: RwLock::default(),
            cover: Cover::default(),
            moderators,
        }
    }

    pub(crate) fn ctx(&self) -> Arc<Ctx> {
        Arc::clone(&self.ctx.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn config(&self) -> Arc<SprintConfig> {
        Arc::clone(&self.ctx().config)
    }

    /// The version of the terms that people agree to now.
    pub(crate) fn terms_version(&self) -> String {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that this moderator is here, and says how many others are.
    pub(crate) fn others_here(&self, person: &PersonId) -> usize {
        let mut here = self.moderators.lock().unwrap_or_else(PoisonError::into_inner);
        here.insert(person.clone(), Instant::now());
        here.retain(|_, heard| heard.elapsed() < HERE);
        here.len() - 1
    }

    /// Records a moderator's decision and applies it.
    pub(crate) async fn decide(&self, who: &Reviewer, word: Word) -> Result<(), Problem> {
        let decided = {
            let _as_it_is = self.changing.read().await;
            review::decide(&self.ctx(), who, word).await
        };
        self.forget_figures().await;
        match decided {
            // It is recorded, and what was rejected is gone. Another program has changed a threshold: what follows
            // from both is planned anew, by a sprint.toml that says so as soon as there is one.
            Err(StageError::SettingsChanged) => {
                let _changing = self.changing.write().await;
                self.unsettled.store(true, Ordering::Relaxed);
                self.look_again_now().await
            }
            decided => Ok(decided?),
        }
    }

    /// Gives one classifier another threshold: in `sprint.toml`, so that every other command knows of it, and
    /// here at once.
    pub(crate) async fn set_threshold(
        &self,
        who: &Reviewer,
        classifier: &str,
        threshold: f64,
    ) -> Result<(), Problem> {
        let _changing = self.changing.write().await;
        let set =
            async || safety::set_threshold(&self.ctx(), &self.overrides, who, classifier, threshold).await;
        let ctx = match set().await {
            Err(StageError::SettingsChanged) => {
                self.look_again_now().await?;
                set().await?
            }
            outcome => outcome?,
        };
        self.take_up(ctx).await
    }

    /// Reads `sprint.toml` again and takes up what it says.
    async fn look_again(&self) -> Result<(), Problem> {
        let _changing = self.changing.write().await;
        self.look_again_now().await
    }

    /// The same, for who holds the turn. Where another program has set a threshold since the file was last read,
    /// a file that neither says so nor screens otherwise than before is older than that: it is not taken up.
    async fn look_again_now(&self) -> Result<(), Problem> {
        let ctx = self.ctx();
        // Counted first, so that what is set between the two is noticed.
        let settings = ctx.store.settings_count(&ctx.sprint).await?;
        let config = match ctx.read_again(&self.overrides) {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(%error, "the sprint goes on as it was");
                return Ok(());
            }
        };
        if config.sprint.slug != ctx.config.sprint.slug {
            tracing::warn!("sprint.toml has another slug now: it holds when the server is started again");
            return Ok(());
        }
        let (changed, rescreens) = (config != *ctx.config, screens_otherwise(&config, &ctx.config));
        let fresh = Ctx { config: Arc::new(config), settings, ..Ctx::clone(&ctx) };
        match open::check(&fresh).await {
            Err(StageError::Refused(why)) => {
                tracing::warn!(why, "the sprint goes on as it was");
                return Ok(());
            }
            checked => checked?,
        }
        let wanted = match settings == ctx.settings {
            true => changed || self.unsettled(),
            false => rescreens || safety::says_what_was_set(&fresh, ctx.settings).await?,
        };
        if wanted { self.take_up(fresh).await } else { Ok(()) }
    }

    /// Whether what follows from the configuration is not in the database yet.
    fn unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Goes on with another configuration: what its screening removes is shown to nobody when this returns.
    /// What else it changes waits for the next run.
    async fn take_up(&self, ctx: Ctx) -> Result<(), Problem> {
        let (before, ctx) = (self.ctx(), Arc::new(ctx));
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Terms::of(&ctx.config).version;
        *self.ctx.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ctx);
        self.forget_figures().await;
        if screens_otherwise(&before.config, &ctx.config) || before.settings != ctx.settings {
            self.unsettled.store(true, Ordering::Relaxed);
        }
        if self.unsettled() {
            match review::settle(&ctx).await {
                Ok(()) => self.unsettled.store(false, Ordering::Relaxed),
                // Another program has set one again since: this one's turn comes when that is read.
                Err(StageError::SettingsChanged) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The report, at most a few seconds old.
    pub(crate) async fn report(&self) -> Result<Arc<Report>, Problem> {
        let ctx = self.ctx();
        self.report.get(REPORT_AGE, diptych_stages::results::report(&ctx)).await
    }

    /// What everybody's answers look like, at most a few seconds old.
    pub(crate) async fn figures(&self) -> Result<Arc<Vec<Figures>>, Problem> {
        let ctx = self.ctx();
        self.figures.get(REPORT_AGE, diptych_stages::annotators::figures(&ctx)).await
    }

    /// How far the sprint is; every open page asks now and then. `answers` as [`Kept::fresh`] takes them.
    pub(crate) async fn progress(&self, answers: u64) -> Result<Arc<Progress>, Problem> {
        let ctx = self.ctx();
        self.progress.fresh(answers, async { Ok(ctx.store.progress(&ctx.sprint).await?) }).await
    }

    /// How much each person has answered, as everybody may know it; at most some seconds old.
    pub(crate) async fn counts(&self) -> Result<Arc<Counts>, Problem> {
        let ctx = self.ctx();
        let counts = async { Ok(Counts::of(ctx.store.answer_counts(&ctx.sprint).await?)) };
        self.counts.get(REPORT_AGE, counts).await
    }

    /// What everybody may see. `answers` as [`Kept::fresh`] takes them.
    pub(crate) async fn board(&self, answers: u64) -> Result<Arc<Board>, Problem> {
        let (ctx, now) = (self.ctx(), diptych_stages::ctx::now());
        let board = async {
            Ok(Board {
                standings: ctx.store.standings(&ctx.sprint, MOST_PLACES, now).await?,
                categories: ctx.store.progress_by_category(&ctx.sprint).await?,
                last_day: ctx.store.responses_since(&ctx.sprint, now - DAY).await?,
            })
        };
        self.board.fresh(answers, board).await
    }

    /// What moves at this moment; at most a second old, however many look.
    pub(crate) async fn lately(&self) -> Result<Arc<Lately>, Problem> {
        let (ctx, now) = (self.ctx(), diptych_stages::ctx::now());
        let lately = async {
            Ok(Lately {
                minute: ctx.store.responses_since(&ctx.sprint, now - MINUTE).await?,
                people: ctx.store.people_since(&ctx.sprint, now - 5 * MINUTE).await?,
            })
        };
        self.lately.get(Duration::from_secs(1), lately).await
    }

    /// The picture that stands for it, as a JPEG; none where it has none, or none that can be shown.
    pub(crate) async fn cover(&self) -> Option<Bytes> {
        self.cover.of(self).await
    }

    /// Forgets what was made of answers, because others count now.
    pub(crate) async fn forget_figures(&self) {
        self.report.forget().await;
        self.figures.forget().await;
        self.progress.forget().await;
        self.counts.forget().await;
        self.board.forget().await;
    }

    pub(crate) fn running(&self) -> Running {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn state(&self) -> SprintState {
        self.running.read().unwrap_or_else(PoisonError::into_inner).state
    }

    fn set_running(&self, running: Running) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
    }

    pub(crate) fn alerts(&self) -> Vec<String> {
        self.alerts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_alerts(&self, alerts: Vec<String>) {
        let mut before = self.alerts.write().unwrap_or_else(PoisonError::into_inner);
        if alerts.len() > before.len() {
            // The log has no names: the words stand on the organizers' page.
            tracing::warn!(sprint = %self.config().sprint.slug, alerts = alerts.len(), "organizers should look");
        }
        *before = alerts;
    }

    /// Whether nobody will be asked any more, or all is answered.
    pub(crate) async fn is_done(&self) -> Result<bool, Problem> {
        let ctx = self.ctx();
        let progress = ctx.store.progress(&ctx.sprint).await?;
        Ok(self.state().is_over() || progress.pairs > 0 && progress.completed == progress.pairs)
    }
}

fn unreadable(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "the server's folder cannot be read");
    Problem::internal("The server's folder cannot be read.")
}

fn screens_otherwise(one: &SprintConfig, other: &SprintConfig) -> bool {
    (&one.screen, &one.classifiers, &one.review) != (&other.screen, &other.classifiers, &other.review)
}

/// Why a server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A provider's secret is not in the environment.
    #[error("set the environment variable {variable}: [sign_in.openid.{key}] keeps its secret there")]
    NoSecret {
        /// The variable.
        variable: String,
        /// The provider's key.
        key: String,
    },
    /// The system's certificates cannot be used.
    #[error("no HTTPS client can be made for signing in")]
    Https(#[from] reqwest::Error),
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    blobs: Blobs,
    sprints: RwLock<BTreeMap<String, Arc<HostedSprint>>>,
    /// Where new sprints are put: the folder of `diptych.toml`, where there is one.
    folder: Option<PathBuf>,
    pulse: Pulse,
    /// Cancelled when the server is to end: what never ends by itself ends then.
    stopping: CancellationToken,
    config: ServerConfig,
    providers: Vec<Provider>,
    limits: Limits,
    gates: Gates,
    /// Who is known to have agreed to which terms: asked at every taking of pairs, and never taken back.
    agreed: RwLock<HashSet<(PersonId, String)>>,
    /// Only so many pictures are encoded at once, so that answers are not kept waiting.
    encoders: tokio::sync::Semaphore,
}

impl App {
    /// A server of these sprints. `folder` is the one in which new sprints are begun, where that is wanted; `secret`
    /// says what stands in an environment variable.
    ///
    /// # Errors
    /// Where a provider's secret is not there, or no HTTPS client can be made.
    pub fn new(
        store: Store,
        blobs: Blobs,
        sprints: impl IntoIterator<Item = HostedSprint>,
        config: &ServerConfig,
        folder: Option<&Path>,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SetUpError> {
        let sprints =
            sprints.into_iter().map(|sprint| (sprint.config().sprint.slug.clone(), Arc::new(sprint)));
        let sprints = RwLock::new(sprints.collect());
        let encoders =
            tokio::sync::Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
        let mut providers = Vec::new();
        for (key, provider) in &config.sign_in.openid {
            let found =
                match &provider.client_secret_env {
                    None => None,
                    Some(variable) => Some(secret(variable).ok_or_else(|| SetUpError::NoSecret {
                        variable: variable.clone(),
                        key: key.clone(),
                    })?),
                };
            providers.push(Provider::new(key, provider, found)?);
        }
        let (limits, gates, agreed) = (Limits::new(&config.limits), Gates::default(), RwLock::default());
        let config = config.clone();
        let (folder, pulse, stopping) =
            (folder.map(Path::to_owned), Pulse::default(), CancellationToken::new());
        let inner = Inner {
            store,
            blobs,
            sprints,
            folder,
            pulse,
            stopping,
            config,
            providers,
            limits,
            gates,
            agreed,
            encoders,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.inner.pulse
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// Where new sprints are put, where people may propose any.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.inner.folder.as_deref()
    }

    /// The image models that proposals may choose from, as `diptych.toml` names them.
    pub(crate) fn engines(&self) -> &[ModelConfig] {
        &self.inner.config.engines
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.inner.gates
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn trusted_proxies(&self) -> &[IpNet] {
        &self.inner.config.serve.trusted_proxies
    }

    pub(crate) fn names(&self) -> Names {
        self.inner.config.sign_in.names
    }

    pub(crate) fn takes_guests(&self) -> bool {
        self.inner.config.sign_in.guests
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.inner.providers.iter()
    }

    pub(crate) fn provider(&self, key: &str) -> Option<&Provider> {
        self.providers().find(|provider| provider.key == key)
    }

    /// Whether this browser reaches the server over HTTPS, so that its cookies may be kept to that.
    pub(crate) fn is_https(&self, client: Client) -> bool {
        let serve = &self.inner.config.serve;
        let says_so = serve.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        client.https || says_so || serve.tls_certificate.is_some()
    }

    pub(crate) fn cookie_rules(&self, client: Client) -> CookieRules {
        CookieRules { https: self.is_https(client), framed: !self.inner.config.serve.framed_by.is_empty() }
    }

    /// The address under which people reach the server, without a slash at its end: the configured one, or
    /// the one that this request was sent to.
    pub(crate) fn address(&self, client: Client, headers: &HeaderMap) -> String {
        if let Some(url) = &self.inner.config.serve.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if self.is_https(client) { "https" } else { "http" })
    }

    pub(crate) fn is_known_to_agree(&self, person: &PersonId, version: &str) -> bool {
        let agreed = self.inner.agreed.read().unwrap_or_else(PoisonError::into_inner);
        agreed.contains(&(person.clone(), version.to_owned()))
    }

    pub(crate) fn remember_agreed(&self, person: &PersonId, version: &str) {
        /// More than are ever here at once; the database knows all of them.
        const MOST: usize = 100_000;
        let mut agreed = self.inner.agreed.write().unwrap_or_else(PoisonError::into_inner);
        if agreed.len() >= MOST {
            agreed.clear();
        }
        agreed.insert((person.clone(), version.to_owned()));
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// What caches may do with a picture: a shared one in front keeps it for a minute, so that a withdrawn one is
    /// gone from there by then.
    pub(crate) fn pictures_cache(&self) -> &'static str {
        match self.inner.config.serve.pictures_url {
            Some(_) => "public, max-age=60, s-maxage=60",
            None => "private, max-age=3600",
        }
    }

    /// Where the picture with this opaque name is fetched.
    pub(crate) fn picture_address(&self, name: &str) -> String {
        let host = self.inner.config.serve.pictures_url.as_deref().unwrap_or_default();
        format!("{}/pictures/{name}", host.trim_end_matches('/'))
    }

    /// Pages may load what this server serves and nothing else, but pictures where they are delivered; nothing
    /// inline; and no other site shows them in a frame but those that the configuration names.
    pub(crate) fn policy(&self) -> String {
        let serve = &self.inner.config.serve;
        let pictures = serve.pictures_url.as_deref().unwrap_or_default().trim_end_matches('/');
        let frames = match serve.framed_by.is_empty() {
            true => "'none'".to_owned(),
            false => {
                serve.framed_by.iter().map(|site| site.trim_end_matches('/')).collect::<Vec<_>>().join(" ")
            }
        };
        format!(
            "default-src 'none'; img-src 'self' data: {pictures}; style-src 'self'; script-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors {frames}; base-uri 'none'"
        )
    }

    pub(crate) fn encoders(&self) -> &tokio::sync::Semaphore {
        &self.inner.encoders
    }

    /// Forgets, now and then, who has long not asked. Never ends.
    pub(crate) async fn forget(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.inner.limits.forget();
        }
    }

    /// Takes up what changes in any `sprint.toml` while the server runs. Never ends.
    pub(crate) async fn watch(self) {
        let mut seen: BTreeMap<String, Option<SystemTime>> = BTreeMap::new();
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
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes up which sprints are open, and what is announced.
    pub(crate) async fn read_running(&self) -> Result<(), Problem> {
        let mut running = self.store().running().await?;
        for (_, sprint) in self.sprints() {
            if let Some(running) = running.remove(&sprint.ctx().sprint) {
                sprint.set_running(running);
            }
        }
        Ok(())
    }

    /// Looks, now and then, whether organizers must hear of something. Never ends.
    pub(crate) async fn look_out(self) {
        loop {
            let now = diptych_stages::ctx::now();
            let addresses = self.pulse().most_from_one(now);
            for (slug, sprint) in self.sprints() {
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

    /// The sprints by slug.
    pub(crate) fn sprints(&self) -> Vec<(String, Arc<HostedSprint>)> {
        let sprints = self.inner.sprints.read().unwrap_or_else(PoisonError::into_inner);
        sprints.iter().map(|(slug, sprint)| (slug.clone(), Arc::clone(sprint))).collect()
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
            let slug = hosted.config().sprint.slug.clone();
            let mut sprints = self.inner.sprints.write().unwrap_or_else(PoisonError::into_inner);
            sprints.entry(slug).or_insert_with(|| Arc::new(hosted));
        }
        Ok(())
    }

    /// The sprint with this id, where this server hosts it.
    pub(crate) fn sprint_of(&self, id: Option<&SprintId>) -> Option<Arc<HostedSprint>> {
        self.sprints().into_iter().map(|(_, sprint)| sprint).find(|sprint| Some(&sprint.ctx().sprint) == id)
    }

    pub(crate) fn sprint(&self, slug: &str) -> Result<Arc<HostedSprint>, Problem> {
        let sprints = self.inner.sprints.read().unwrap_or_else(PoisonError::into_inner);
        let found = sprints.get(slug).map(Arc::clone);
        found.ok_or_else(|| Problem::not_found(format!("There is no sprint `{slug}`.")))
    }
}
