//! A sprint that the server hosts: its configuration as it is now, whether people are asked, and figures of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as PlainMutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diptych_core::config::{Overrides, SprintConfig};
use diptych_core::{PersonId, SprintState};
use diptych_stages::alerts::Alert;
use diptych_stages::annotators::Figures;
use diptych_stages::results::Report;
use diptych_stages::review::{Reviewer, Word};
use diptych_stages::terms::Terms;
use diptych_stages::{Ctx, StageError, annotate, board, open, review, safety};
use diptych_store::Millis;
use diptych_store::pairs::Progress;
use diptych_store::responses::SECOND_THOUGHTS;
use diptych_store::sprints::Running;

use crate::kept::{Board, Counts, Kept, Lately, Told};
use crate::look::Cover;
use crate::problem::Problem;
use crate::pulse::Origins;

/// How old a report may be before it is made again.
const REPORT_AGE: Duration = Duration::from_secs(5);

/// The most places of a leaderboard, and of the final standings.
const MOST_PLACES: usize = 100;
const MOST_FINAL: usize = 2000;

const MINUTE: Millis = 60 * 1000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// How long after their last call a moderator is taken to be here.
const HERE: Duration = Duration::from_secs(120);

/// A sprint that the server hosts.
pub struct HostedSprint {
    ctx: RwLock<Arc<Ctx>>,
    /// Computed once a configuration: it is asked for at every taking of pairs.
    terms: RwLock<String>,
    pub(crate) overrides: Overrides,
    /// Held while the configuration changes; shared by decisions, which plan pairs by it. So none puts back what
    /// a newer configuration has just removed, and no change of the file is lost to another.
    changing: tokio::sync::RwLock<()>,
    /// Whether what follows from the configuration could not be recorded yet.
    unsettled: AtomicBool,
    /// Whether pairs may have come since the line was last put in order.
    disordered: AtomicBool,
    /// Not before then it is put in order again.
    orders_from: PlainMutex<Instant>,
    report: Kept<Report>,
    public_report: Kept<Report>,
    fresh: Kept<Told>,
    /// What everybody was told last, and for how many answers it stands.
    told: PlainMutex<Option<(Arc<Told>, i64)>>,
    figures: Kept<Vec<Figures>>,
    progress: Kept<Progress>,
    counts: Kept<Counts>,
    board: Kept<Board>,
    lately: Kept<Lately>,
    /// Whether people are asked, and what they are told: at most a second old.
    running: RwLock<Running>,
    /// From where answers come, as far as this server took them.
    addresses: Origins,
    /// What organizers must hear of, as of the last look.
    alerts: RwLock<Vec<Alert>>,
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
            disordered: AtomicBool::new(false),
            orders_from: PlainMutex::new(Instant::now()),
            report: Kept::default(),
            public_report: Kept::default(),
            fresh: Kept::default(),
            told: PlainMutex::default(),
            figures: Kept::default(),
            progress: Kept::default(),
            counts: Kept::default(),
            board: Kept::default(),
            lately: Kept::default(),
            running: RwLock::new(Running { state: SprintState::Open, announcement: None }),
            addresses: Origins::default(),
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
        self.disorder();
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
    pub(crate) async fn look_again(&self) -> Result<(), Problem> {
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
                tracing::warn!(sprint = ctx.config.sprint.slug, %error, "the sprint goes on as it was");
                return Ok(());
            }
        };
        if config.sprint.slug != ctx.config.sprint.slug {
            let sprint = &ctx.config.sprint.slug;
            tracing::warn!(
                sprint,
                "sprint.toml has another slug now: it holds when the server is started again"
            );
            return Ok(());
        }
        let (changed, rescreens) = (config != *ctx.config, screens_otherwise(&config, &ctx.config));
        let fresh = Ctx { config: Arc::new(config), settings, ..Ctx::clone(&ctx) };
        match open::check(&fresh).await {
            Err(StageError::Refused(why)) => {
                tracing::warn!(sprint = ctx.config.sprint.slug, why, "the sprint goes on as it was");
                return Ok(());
            }
            checked => checked?,
        }
        if waits_for_run(&fresh.config, &ctx.config) {
            let sprint = &ctx.config.sprint.slug;
            tracing::warn!(
                sprint,
                "what sprint.toml says now of prompts, models, pairs or overlap waits for `diptych run`"
            );
        }
        let wanted = match settings == ctx.settings {
            true => changed || self.unsettled(),
            false => rescreens || safety::says_what_was_set(&fresh, ctx.settings).await?,
        };
        if wanted { self.take_up(fresh).await } else { Ok(()) }
    }

    /// Whether what follows from the configuration is not in the database yet.
    pub(crate) fn unsettled(&self) -> bool {
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
            self.disordered.store(true, Ordering::Relaxed);
            match review::settle(&ctx).await {
                Ok(()) => self.unsettled.store(false, Ordering::Relaxed),
                // Another program has set one again since: this one's turn comes when that is read.
                Err(StageError::SettingsChanged) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says that pairs have left the line, or come back to it.
    pub(crate) fn disorder(&self) {
        self.disordered.store(true, Ordering::Relaxed);
    }

    /// Puts the line in order where decisions have brought pairs into it, so that categories keep step. It takes no
    /// more than a twentieth of the time of those who answer.
    pub(crate) async fn order_line(&self) -> Result<(), Problem> {
        let begun = Instant::now();
        let due = begun >= *self.orders_from.lock().unwrap_or_else(PoisonError::into_inner);
        if !due || !self.disordered.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let ctx = self.ctx();
        let ordered = ctx.store.order_line(&ctx.sprint).await;
        if ordered.is_err() {
            self.disordered.store(true, Ordering::Relaxed);
        }
        let rests_until = Instant::now() + 20 * begun.elapsed();
        *self.orders_from.lock().unwrap_or_else(PoisonError::into_inner) = rests_until;
        Ok(ordered?)
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

    /// Whether checks are mixed in, so that what everybody sees must not move with every answer.
    pub(crate) fn tells_late(&self) -> bool {
        self.config().checks.are_on() && !self.state().is_over()
    }

    /// How far the sprint and each category are, as everybody may know it: all of one moment. `answers` as
    /// [`Kept::fresh`] takes them.
    pub(crate) async fn told(&self, answers: u64) -> Result<Arc<Told>, Problem> {
        let (ctx, now) = (self.ctx(), diptych_stages::ctx::now());
        let told = async {
            Ok(Told {
                progress: ctx.store.progress(&ctx.sprint).await?,
                categories: ctx.store.progress_by_category(&ctx.sprint).await?,
                last_day: ctx.store.responses_since(&ctx.sprint, now - DAY).await?,
                first: ctx.store.first_response(&ctx.sprint).await?,
                hour: now / HOUR,
            })
        };
        let fresh = self.fresh.fresh(answers, told).await?;
        if !self.tells_late() {
            return Ok(fresh);
        }
        let mut last = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((told, changes)) = &*last
            && told.hour == fresh.hour
            && annotate::stands(told.progress, fresh.progress, *changes)
        {
            return Ok(Arc::clone(told));
        }
        *last = Some((Arc::clone(&fresh), annotate::told_again_after()));
        Ok(fresh)
    }

    /// How far the sprint is, as everybody may know it.
    pub(crate) async fn public_progress(&self, answers: u64) -> Result<Progress, Problem> {
        Ok(match self.tells_late() {
            true => self.told(answers).await?.progress,
            false => *self.progress(answers).await?,
        })
    }

    /// Another number whenever pairs were withdrawn, or came; the same on every server.
    pub(crate) async fn line(&self, answers: u64) -> Result<u32, Problem> {
        let mut hasher = DefaultHasher::new();
        // Nobody knows the sprint's id: the number tells that there are others, not which, and not how many.
        (self.ctx().sprint.as_str(), self.progress(answers).await?.mark).hash(&mut hasher);
        Ok(hasher.finish() as u32)
    }

    /// The report as everybody may see it who may. Where checks are mixed in it is made when it says no more than everybody
    /// is told anyway, or when nobody can change the answers any more that it tells of.
    pub(crate) async fn public_report(&self, answers: u64) -> Result<Arc<Report>, Problem> {
        if !self.tells_late() {
            return self.report().await;
        }
        let is_told = self.told(answers).await?.progress == *self.progress(answers).await?;
        let age = if is_told { REPORT_AGE } else { Duration::from_millis(SECOND_THOUGHTS.unsigned_abs()) };
        let ctx = self.ctx();
        self.public_report.get(age, diptych_stages::results::report(&ctx)).await
    }

    /// How much each person has answered, as everybody may know it; at most some seconds old.
    pub(crate) async fn counts(&self) -> Result<Arc<Counts>, Problem> {
        let ctx = self.ctx();
        let counts = async { Ok(Counts::of(ctx.store.answer_counts(&ctx.sprint).await?)) };
        self.counts.get(REPORT_AGE, counts).await
    }

    /// What everybody may see. `answers` as [`Kept::fresh`] takes them.
    pub(crate) async fn board(&self, answers: u64) -> Result<Arc<Board>, Problem> {
        let (ctx, now, over) = (self.ctx(), diptych_stages::ctx::now(), self.state().is_over());
        let board = async {
            // Who had answered to the end keeps their days in a row.
            let last = if over { ctx.store.last_response(&ctx.sprint).await? } else { None };
            let standings = ctx.store.standings(&ctx.sprint, last.unwrap_or(now)).await?;
            let (mut people, mut today) = board::board(&ctx.sprint, standings);
            if over {
                people = board::to_be_thanked(people, MOST_FINAL);
                people.iter_mut().for_each(|place| place.today = None);
                today.clear();
            } else {
                people.truncate(MOST_PLACES);
                today.truncate(MOST_PLACES);
            }
            Ok(Board { people, today })
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
        self.fresh.forget().await;
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

    /// Takes up whether people are asked, and what they are told; what is shown of a sprint that is over is made anew.
    pub(crate) async fn set_running(&self, running: Running) {
        let was = std::mem::replace(
            &mut *self.running.write().unwrap_or_else(PoisonError::into_inner),
            running.clone(),
        );
        if was.state != running.state {
            self.board.forget().await;
        }
    }

    pub(crate) fn addresses(&self) -> &Origins {
        &self.addresses
    }

    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.alerts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_alerts(&self, alerts: Vec<Alert>) {
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

/// Whether the stages have something to do that no server does by itself.
fn waits_for_run(one: &SprintConfig, other: &SprintConfig) -> bool {
    let of = |config: &SprintConfig| (config.collect.clone(), config.models.clone(), config.pair.clone());
    of(one) != of(other) || one.annotate.overlap != other.annotate.overlap
}

fn screens_otherwise(one: &SprintConfig, other: &SprintConfig) -> bool {
    (&one.screen, &one.classifiers, &one.review) != (&other.screen, &other.classifiers, &other.review)
}
