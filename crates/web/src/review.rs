//! Review: the moderators' page, its pictures, and its part of the API. Rules live in `diptych_stages::review`.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use diptych_core::{ImageHash, Role};
use diptych_picture::Limits;
use diptych_stages::ctx::now;
use diptych_stages::review::{self, REASONS, Reviewable, Reviewer, Word};
use diptych_store::people::Person;
use diptych_store::responses::SECOND_THOUGHTS;
use diptych_store::reviews::Verdict;
use diptych_store::scores::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gates::{Gate, Said};
use crate::hosted::HostedSprint;
use crate::pages::midnight;
use crate::problem::{Path, Problem, Query, to_the_end};
use crate::session::SignedIn;
use crate::state::App;
use crate::texts::Texts;

/// The sides of a thumbnail, in pixels.
const THUMBNAIL: u32 = 320;

/// The longer side of a picture that is looked at closely, in pixels.
const LARGE: u32 = 1600;

/// The most items of one answer.
const MOST: usize = 20_000;

/// Lets moderators and organizers of the sprint in, and nobody else.
pub(crate) async fn reviewer(app: &App, sprint: &HostedSprint, person: &Person) -> Result<Reviewer, Problem> {
    let role = app.role(sprint, person).await?;
    match role {
        Role::Moderator | Role::Organizer => {
            app.gates().count(Gate::Role, Said::Passed);
            Ok(Reviewer { person: person.id.clone(), organizer: role == Role::Organizer })
        }
        Role::Annotator => {
            app.gates().count(Gate::Role, Said::Refused);
            Err(Problem::forbidden("This is for the sprint's moderators. Its organizer says who is one."))
        }
    }
}

/// Which items are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// `image` or `text`.
    kind: String,
    /// `waiting` (what needs a person), `reported`, `disputed`, a decision, or `all`.
    decision: String,
    classifier: String,
    least: Option<f64>,
    most: Option<f64>,
    category: String,
    /// For organizers, or when the sprint is done: until then nobody else hears which model made what.
    model: String,
    /// Why, as the items' `reason` says it.
    reason: String,
    /// `unsafe` (the highest score first) or `oldest`.
    order: String,
}

impl Filter {
    /// # Errors
    /// Where it asks for what there is not.
    fn check(&self) -> Result<(), Problem> {
        for (key, said, known) in [
            ("kind", &self.kind, &["", "image", "text"][..]),
            ("order", &self.order, &["", "unsafe", "oldest"]),
            (
                "decision",
                &self.decision,
                &[
                    "",
                    "waiting",
                    "reported",
                    "disputed",
                    "all",
                    "passed",
                    "removed",
                    "needs_review",
                    "not_screened",
                    "pending",
                ],
            ),
        ] {
            if !known.contains(&said.as_str()) {
                let said: String = said.chars().take(60).collect();
                return Err(Problem::bad_request(format!(
                    "`{key}` is `{said}`: it must be one of {}.",
                    known[1..].join(", ")
                )));
            }
        }
        Ok(())
    }

    fn takes(&self, item: &Reviewable) -> bool {
        let decision = match self.decision.as_str() {
            "" | "waiting" => item.waits(),
            "reported" => item.reported,
            "disputed" => !item.words.is_empty(),
            "all" => true,
            decision => item.decision == decision,
        };
        let score = match self.classifier.as_str() {
            "" => item.scores.values().copied().reduce(f64::max),
            classifier => item.scores.get(classifier).copied(),
        };
        let within = match (self.least, self.most) {
            (None, None) => self.classifier.is_empty() || score.is_some(),
            (least, most) => score.is_some_and(|score| {
                least.is_none_or(|least| score >= least) && most.is_none_or(|most| score <= most)
            }),
        };
        decision
            && within
            && (self.kind.is_empty() && item.kind == "image" || item.kind == self.kind)
            && (self.category.is_empty() || item.category == self.category)
            && (self.model.is_empty() || item.model == self.model)
    }
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewCounts {
    /// Images that wait for a person.
    images_waiting: usize,
    /// Texts that wait for a person.
    texts_waiting: usize,
    /// Images that people have decided about.
    images_reviewed: usize,
    /// All images.
    images: usize,
    /// Reported pairs that wait.
    reports: i64,
    /// Items on which moderators disagree.
    disputed: usize,
    /// Decisions that this person has made since midnight, UTC.
    done_today: i64,
    /// Other moderators who are at it, on this server.
    others_here: usize,
}

/// Items to be reviewed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewItems {
    #[schema(value_type = Vec<Object>)]
    items: Vec<Reviewable>,
    /// How many there are of these, where not all are given.
    total: usize,
    /// The reasons that there are among these, without the filter by reason, and how often each.
    reasons: BTreeMap<String, usize>,
    counts: ReviewCounts,
}

/// The items that are asked for. For moderators.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/review", params(("slug" = String, Path),
    ("kind" = Option<String>, Query, pattern = "^(image|text)?$"),
    ("decision" = Option<String>, Query,
     pattern = "^(waiting|reported|disputed|all|passed|removed|needs_review|not_screened|pending)?$"), ("classifier" = Option<String>, Query),
    ("least" = Option<f64>, Query), ("most" = Option<f64>, Query), ("category" = Option<String>, Query),
    ("model" = Option<String>, Query), ("reason" = Option<String>, Query), ("order" = Option<String>, Query, pattern = "^(unsafe|oldest)?$")),
    security(("token" = []), ("session" = [])), responses((status = 200, body = ReviewItems),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn items(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
    Query(mut filter): Query<Filter>,
) -> Result<Json<ReviewItems>, Problem> {
    let sprint = app.sprint(&slug)?;
    let reviewer = reviewer(&app, &sprint, &person).await?;
    filter.check()?;
    let mut all = review::items(&sprint.ctx(), Some(&person.id)).await?;
    if !sees_models(&sprint, &reviewer).await? {
        all.iter_mut().for_each(|item| item.model.clear());
        filter.model.clear();
    }
    let counts = counts(&app, &sprint, &person, &all).await?;
    let reason = std::mem::take(&mut filter.reason);
    let mut items: Vec<Reviewable> = all.into_iter().filter(|item| filter.takes(item)).collect();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.iter().filter(|item| !item.reason.is_empty()) {
        *reasons.entry(item.reason.clone()).or_default() += 1;
    }
    items.retain(|item| reason.is_empty() || item.reason == reason);
    if filter.order != "oldest" {
        let highest = |item: &Reviewable| item.scores.values().copied().fold(-1.0, f64::max);
        // What people have reported comes before what machines doubt.
        items.sort_by(|a, b| b.reported.cmp(&a.reported).then(highest(b).total_cmp(&highest(a))));
    }
    let total = items.len();
    items.truncate(MOST);
    Ok(Json(ReviewItems { items, total, reasons, counts }))
}

/// Whether the person may hear which model made what: an organizer, and everybody who reviews when the sprint is
/// done. A moderator may be an annotator as well.
pub(crate) async fn sees_models(sprint: &HostedSprint, reviewer: &Reviewer) -> Result<bool, Problem> {
    // Who holds a pair may still answer it, and who has just answered may think again where the sprint is not over:
    // moderators too.
    let ctx = sprint.ctx();
    if reviewer.organizer {
        return Ok(true);
    }
    if !sprint.is_done().await? || ctx.store.has_live_holds(&ctx.sprint, now()).await? {
        return Ok(false);
    }
    let last = ctx.store.last_response(&ctx.sprint).await?;
    Ok(sprint.state().is_over() || last.is_none_or(|last| last < now() - SECOND_THOUGHTS))
}

async fn counts(
    app: &App,
    sprint: &HostedSprint,
    person: &Person,
    all: &[Reviewable],
) -> Result<ReviewCounts, Problem> {
    let images = || all.iter().filter(|item| item.kind == "image");
    Ok(ReviewCounts {
        images_waiting: images().filter(|item| item.waits()).count(),
        texts_waiting: all.iter().filter(|item| item.kind == "text" && item.waits()).count(),
        images_reviewed: images().filter(|item| item.reviewed).count(),
        images: images().count(),
        reports: app.store().waiting_reports(&sprint.ctx().sprint).await?,
        disputed: all.iter().filter(|item| !item.words.is_empty()).count(),
        done_today: app.store().reviews_of(&sprint.ctx().sprint, &person.id, midnight(now())).await?,
        others_here: sprint.others_here(&person.id),
    })
}

/// A decision on items.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewBody {
    /// `image` or `text`.
    #[schema(pattern = "^(image|text)$")]
    kind: String,
    /// Their hashes, as the list gives them: 1 to 500.
    #[schema(min_items = 1, max_items = 500)]
    items: Vec<String>,
    /// `approve`, `reject` or `undo`, which takes one's own last word back: what one said before stands again.
    #[schema(pattern = "^(approve|reject|undo)$")]
    verdict: String,
    /// Why it is rejected: `sexual`, `violence`, `hateful`, `self_harm`, `real_person`, `broken` or `other`.
    #[serde(default)]
    #[schema(pattern = "^(sexual|violence|hateful|self_harm|real_person|broken|other)?$")]
    reason: String,
    /// What the moderator adds.
    #[serde(default)]
    note: String,
}

/// Decides about items. When this returns, what was rejected is shown to nobody. For moderators.
#[utoipa::path(post, path = "/api/v1/sprints/{slug}/review", params(("slug" = String, Path)),
    security(("token" = []), ("session" = [])), request_body = ReviewBody, responses((status = 204),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn decide(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let sprint = app.sprint(&slug)?;
    let reviewer = reviewer(&app, &sprint, &person).await?;
    let body: ReviewBody = crate::api::read(body)?;
    let kind = Kind::from_word(&body.kind)
        .ok_or_else(|| Problem::bad_request("`kind` must be `image` or `text`."))?;
    let verdict = Verdict::from_word(&body.verdict)
        .ok_or_else(|| Problem::bad_request("`verdict` must be `approve`, `reject` or `undo`."))?;
    let word = Word { kind, contents: body.items, verdict, reason: body.reason, note: body.note };
    to_the_end(async move { sprint.decide(&reviewer, word).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogLine {
    /// `text`, `image`, or `setting` for what an organizer has set from a page: `content` says which setting,
    /// `note` from what to what.
    pub(crate) kind: &'static str,
    pub(crate) content: String,
    pub(crate) who: String,
    pub(crate) organizer: bool,
    pub(crate) verdict: &'static str,
    pub(crate) reason: String,
    pub(crate) note: String,
    /// Milliseconds since 1970, UTC.
    pub(crate) at: i64,
}

/// Who decided what and when, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Log {
    log: Vec<LogLine>,
}

/// Who decided what and when, the newest first. For moderators.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/review/log", params(("slug" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 200, body = Log),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn log(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
) -> Result<Json<Log>, Problem> {
    let sprint = app.sprint(&slug)?;
    reviewer(&app, &sprint, &person).await?;
    Ok(Json(Log { log: lines(&app, &sprint).await? }))
}

/// The whole log, the newest line first.
pub(crate) async fn lines(app: &App, sprint: &HostedSprint) -> Result<Vec<LogLine>, Problem> {
    let reviews = app.store().reviews(&sprint.ctx().sprint).await?;
    let settings = app.store().settings(&sprint.ctx().sprint).await?;
    let settings = settings.into_iter().map(|(who, change)| LogLine {
        kind: "setting",
        content: change.what,
        who,
        organizer: true,
        verdict: "set",
        reason: String::new(),
        note: format!("{} → {}", change.from, change.to),
        at: change.at,
    });
    let reviews = reviews.into_iter().map(|review| LogLine {
        kind: review.kind.as_str(),
        content: review.content,
        who: review.name,
        organizer: review.organizer,
        verdict: review.verdict.as_str(),
        reason: review.reason,
        note: review.note,
        at: review.created_at,
    });
    let mut log: Vec<LogLine> = reviews.chain(settings).collect();
    log.sort_by_key(|line| std::cmp::Reverse(line.at));
    Ok(log)
}

/// How well the classifiers do, by what was reviewed. For moderators.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/safety", params(("slug" = String, Path),
    ("classifier" = Option<String>, Query), ("threshold" = Option<f64>, Query, minimum = 0, maximum = 1)),
    security(("token" = []), ("session" = [])),
    responses((status = 200, description = "The report, as `diptych report --safety --json` prints it"),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
pub(crate) async fn safety(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
    Query(proposed): Query<Proposed>,
) -> Result<Response, Problem> {
    let sprint = app.sprint(&slug)?;
    reviewer(&app, &sprint, &person).await?;
    if let Some(threshold) = proposed.threshold.filter(|threshold| !(0.0..=1.0).contains(threshold)) {
        return Err(Problem::bad_request(format!("A threshold of {threshold} is not between 0 and 1.")));
    }
    let report = diptych_stages::safety::report(&sprint.ctx()).await?;
    let failed = |_| Problem::internal("The report cannot be written.");
    let mut document = serde_json::to_value(report).map_err(failed)?;
    if let (Some(classifier), Some(threshold)) = (proposed.classifier, proposed.threshold) {
        let changes = diptych_stages::safety::changes(&sprint.ctx(), &classifier, threshold).await?;
        document["changes"] = serde_json::to_value(changes).map_err(failed)?;
    }
    Ok(Json(document).into_response())
}

/// A threshold for a classifier.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdBody {
    pub(crate) classifier: String,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) threshold: f64,
}

/// Gives a classifier another threshold, in `sprint.toml`. When this returns, what it removes is shown to nobody;
/// what it lets through is made and shown by the next `diptych run`, or at once where it was made before. For
/// organizers.
#[utoipa::path(post, path = "/api/v1/sprints/{slug}/safety", params(("slug" = String, Path)),
    security(("token" = []), ("session" = [])), request_body = ThresholdBody, responses((status = 204),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn set_threshold(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let sprint = app.sprint(&slug)?;
    let organizer = organizer(&app, &sprint, &person).await?;
    let ThresholdBody { classifier, threshold } = crate::api::read(body)?;
    sprint.set_threshold(&organizer, &classifier, threshold).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets organizers of the sprint in, and nobody else.
pub(crate) async fn organizer(
    app: &App,
    sprint: &HostedSprint,
    person: &Person,
) -> Result<Reviewer, Problem> {
    let reviewer = reviewer(app, sprint, person).await?;
    match reviewer.organizer {
        true => Ok(reviewer),
        false => {
            app.gates().count(Gate::Role, Said::Refused);
            Err(Problem::forbidden("This is for the sprint's organizers."))
        }
    }
}

/// A threshold that is thought of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Proposed {
    pub(crate) classifier: Option<String>,
    pub(crate) threshold: Option<f64>,
}

/// How large a picture is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Size {
    /// Any value: as large as it is looked at closely.
    large: Option<String>,
}

/// A thumbnail of an image of the sprint, whatever was decided about it, on a canvas that all of them share. For moderators.
pub(crate) async fn thumbnail(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path((slug, hash)): Path<(String, String)>,
    Query(size): Query<Size>,
) -> Result<Response, Problem> {
    let sprint = app.sprint(&slug)?;
    reviewer(&app, &sprint, &person).await?;
    let nothing = || Problem::not_found("There is no such image.");
    let plain = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain || !app.store().has_image(&sprint.ctx().sprint, &hash).await? {
        return Err(nothing());
    }
    let longest = if size.large.is_some() { LARGE } else { THUMBNAIL };
    let kept = format!("{hash}-{longest}-square.jpg");
    let bytes = match app.blobs().derived(&kept).await? {
        Some(bytes) => bytes,
        None => shrink(&app, &ImageHash::from_text(hash), longest, &kept).await?,
    };
    let mut response = ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}

/// Makes the image small, and keeps it under this name.
async fn shrink(app: &App, image: &ImageHash, longest: u32, kept: &str) -> Result<Bytes, Problem> {
    let _permit =
        app.encoders().acquire().await.map_err(|_| Problem::unavailable("The server is stopping."))?;
    // While it waited for its turn somebody else may have made it.
    if let Some(bytes) = app.blobs().derived(kept).await? {
        return Ok(bytes);
    }
    let original = app.blobs().image(image).await?;
    let shrunk = tokio::task::spawn_blocking(move || {
        diptych_picture::overview(&original, longest, &Limits::default())
    })
    .await
    .map_err(|_| Problem::internal("The picture cannot be shown."))?;
    let bytes = shrunk.map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "a kept picture cannot be decoded");
        Problem::internal("The picture cannot be shown.")
    })?;
    app.blobs().put_derived(kept, bytes.clone()).await?;
    Ok(bytes)
}

/// What the page lets choose from.
pub(crate) struct Choices {
    pub(crate) classifiers: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) models: Vec<String>,
    /// Between which scores, and how that is said.
    pub(crate) bands: [(&'static str, String); 3],
    pub(crate) reasons: [&'static str; 7],
}

impl Choices {
    pub(crate) fn of(sprint: &HostedSprint, sees_models: bool, t: &Texts) -> Self {
        let screen = &sprint.config().screen;
        let [half, most] = [0.5, 0.75].map(|score| t.decimal(score, 2));
        let bands = [
            ("0.75-1", t.fill("review_over", [("score", most.as_str())])),
            ("0.5-0.75", t.fill("review_between", [("low", half.as_str()), ("high", &most)])),
            ("0-0.5", t.fill("review_under", [("score", half.as_str())])),
        ];
        Self {
            classifiers: screen.text.iter().chain(&screen.image).map(|one| one.name.clone()).collect(),
            categories: diptych_core::taxonomy::categories().iter().map(|one| one.name.clone()).collect(),
            models: match sees_models {
                true => sprint.config().models.iter().map(|model| model.key.clone()).collect(),
                false => Vec::new(),
            },
            bands,
            reasons: REASONS,
        }
    }
}
