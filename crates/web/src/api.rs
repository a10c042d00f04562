//! The API: from requests to the stages, and from their words to statuses.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use diptych_core::{AssignmentId, Choice, Role, SprintState};
use diptych_headers::{Client, network};
use diptych_stages::annotate::{self, Given, LONGEST_COMMENT, MOST_AT_ONCE};
use diptych_stages::board::{self, Who};
use diptych_stages::ctx::now;
use diptych_stages::results::{Report, notes};
use diptych_store::assignments::Taken;
use diptych_store::people::Person;
use diptych_store::reports::Reporting;
use diptych_store::responses::{Responded, TakenBack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gates::{Gate, Said};
use crate::hosted::HostedSprint;
use crate::pages::midnight;
use crate::problem::{Path, Problem};
use crate::session::{SignedIn, Visitor, by_given_token};
use crate::state::App;
use crate::terms::has_agreed;

/// A sprint, as people may see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SprintSummary {
    slug: String,
    title: String,
    question: String,
    pairs: i64,
    completed: i64,
    responses: i64,
    wanted: i64,
    /// `open`, `paused`, `closed` or `archived`.
    state: &'static str,
    /// What a reader must know, for instance that images were not screened.
    notes: Vec<String>,
}

/// The sprints of this server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sprints {
    sprints: Vec<SprintSummary>,
}

/// How many pairs are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeBody {
    /// 1 to 10.
    #[schema(minimum = 1, maximum = 10)]
    #[serde(deserialize_with = "whole")]
    count: usize,
}

/// A whole number, also where it is written as `3.0`: JSON knows no difference.
fn whole_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    /// 2 to the 63rd: the first that is too large.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let as_real = || number.as_f64().filter(|real| real.fract() == 0.0 && real.abs() < BEYOND);
    let whole = number.as_i64().or_else(|| as_real().map(|real| real as i64));
    whole.map(Some).ok_or_else(|| serde::de::Error::custom("it must be a whole number of at most 63 bits"))
}

fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = whole_or_none(deserializer)?;
    let number = number.ok_or_else(|| serde::de::Error::custom("it must be a whole number"))?;
    // What is too small or too large is said by who takes it.
    Ok(usize::try_from(number).unwrap_or(0))
}

/// A picture to be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PictureOnSide {
    /// Opaque; the same for every person. With `?w=480` or `?w=768` in a smaller size, where the canvas is larger.
    url: String,
    /// In pixels.
    width: i64,
    /// In pixels.
    height: i64,
}

/// A pair that this person holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Assignment {
    id: String,
    prompt: String,
    category: String,
    left: PictureOnSide,
    right: PictureOnSide,
    /// Milliseconds since 1970, UTC.
    expires_at: i64,
}

/// The pairs that this person holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Assignments {
    assignments: Vec<Assignment>,
    /// With an empty list: in how many seconds another person's lease may free a pair; null when
    /// this person is finished.
    retry_after_s: Option<i64>,
}

/// An answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseBody {
    /// `left`, `right`, `both_good`, `both_bad`, `toxic_content` or `skip`.
    #[schema(pattern = "^(left|right|both_good|both_bad|toxic_content|skip)$")]
    answer: String,
    /// How long the pair was looked at, in milliseconds; what cannot be, as where a clock has jumped, is left out.
    #[serde(default, deserialize_with = "whole_or_none")]
    duration_ms: Option<i64>,
    /// What the person adds.
    #[serde(default)]
    comment: Option<String>,
}

/// What became of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Saved {
    /// `recorded`, `repeated` or `replaced`.
    saved: &'static str,
}

/// One person's place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Place {
    /// The name of who asks for theirs to be shown; null for the others.
    name: Option<String>,
    /// An alias of the others, which stands on this board alone; null beside a name. Nothing is published under it.
    alias: Option<String>,
    /// Rounded down to tens, and so far that at least three people share it; null where fewer have answered.
    responses: Option<i64>,
    /// Those of today, since midnight UTC; rounded down in the same way, and no more than `responses`. Null once the
    /// sprint is closed.
    today: Option<i64>,
    /// Days in a row with an answer; no more than `responses`.
    streak: i64,
    /// Whether the program made this person up, for the demo.
    simulated: bool,
}

impl Place {
    fn of(place: &board::Place) -> Self {
        let (name, alias) = match place.who.clone() {
            Who::Name(name) => (Some(name), None),
            Who::Alias(alias) => (None, Some(alias)),
        };
        let board::Place { responses, today, streak, simulated, .. } = *place;
        Self { name, alias, responses, today, streak, simulated }
    }
}

/// People by how much they have answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Leaderboard {
    /// In all.
    people: Vec<Place>,
    /// Today; empty once the sprint is closed.
    today: Vec<Place>,
}

/// How far a sprint is. Where checks are mixed in, as it was up to twenty answers ago.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    pairs: i64,
    completed: i64,
    responses: i64,
    wanted: i64,
    /// Another one whenever pairs were withdrawn, or came: whoever holds some looks whether they do still.
    line: u32,
    /// `open`, `paused`, `closed` or `archived`.
    state: &'static str,
    /// What the organizers tell everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    announcement: Option<Told>,
    /// This person's own, where somebody is signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    mine: Option<Mine>,
}

/// What organizers tell everybody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// Another one has another id.
    id: String,
    text: String,
}

/// One's own answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mine {
    responses: i64,
    /// Since midnight, UTC.
    today: i64,
    /// One more than there are people with more tens of answers; null before the first answer, and a few seconds old.
    place: Option<usize>,
    /// People who have answered.
    people: usize,
}

/// The sprints that stand in this person's lists: those that are archived are for their organizers.
pub(crate) async fn visible(
    app: &App,
    person: Option<&Person>,
) -> Result<Vec<(String, Arc<HostedSprint>)>, Problem> {
    let mut sprints = app.sprints();
    let mut hidden = Vec::new();
    for (slug, sprint) in sprints.iter().filter(|(_, sprint)| sprint.state() == SprintState::Archived) {
        let role = match person {
            Some(person) => app.role(sprint, person).await?,
            None => Role::Annotator,
        };
        if role != Role::Organizer {
            hidden.push(slug.clone());
        }
    }
    sprints.retain(|(slug, _)| !hidden.contains(slug));
    Ok(sprints)
}

/// The sprints that this person may see.
#[utoipa::path(get, path = "/api/v1/sprints", security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = Sprints), (status = 401, body = Problem)))]
pub(crate) async fn sprints(
    State(app): State<App>,
    Visitor(person): Visitor,
) -> Result<Json<Sprints>, Problem> {
    let mut sprints = Vec::new();
    for (slug, sprint) in visible(&app, person.as_ref()).await? {
        let progress = sprint.public_progress(app.pulse().changes()).await?;
        sprints.push(SprintSummary {
            slug: slug.clone(),
            title: sprint.config().sprint.title.clone(),
            question: sprint.config().sprint.question.clone(),
            pairs: progress.pairs,
            completed: progress.completed,
            responses: progress.submitted,
            wanted: progress.wanted,
            state: sprint.state().as_str(),
            notes: notes(&sprint.config()).iter().map(ToString::to_string).collect(),
        });
    }
    Ok(Json(Sprints { sprints }))
}

/// This person's live assignments first, then new ones up to `count`.
#[utoipa::path(post, path = "/api/v1/sprints/{slug}/assignments", params(("slug" = String, Path)),
    security(("token" = []), ("session" = [])), request_body = TakeBody,
    responses((status = 200, body = Assignments), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 413, body = Problem)))]
pub(crate) async fn take(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Assignments>, Problem> {
    let sprint = app.sprint(&slug)?;
    if !by_given_token(&headers) && !has_agreed(&app, &sprint, &person).await? {
        app.gates().count(Gate::Consent, Said::Refused);
        return Err(Problem::agree_first(format!(
            "Read what this sprint is for at /s/{slug}, and agree to it there."
        )));
    }
    let body: TakeBody = read(body)?;
    if !(1..=MOST_AT_ONCE).contains(&body.count) {
        return Err(Problem::bad_request(format!(
            "`count` is {}: it must be 1 to {MOST_AT_ONCE}.",
            body.count
        )));
    }
    let taken = take_for(&app, &sprint, &person, body.count).await?;
    let picture = |name: &str, (width, height): (i64, i64)| PictureOnSide {
        url: app.picture_address(name),
        width,
        height,
    };
    let assignments = taken
        .held
        .iter()
        .map(|held| Assignment {
            id: held.id.to_string(),
            prompt: held.prompt.clone(),
            category: held.category.clone(),
            left: picture(&held.left, held.canvas),
            right: picture(&held.right, held.canvas),
            expires_at: held.expires_at,
        })
        .collect();
    // Rounded up, so that nobody comes back a moment too early.
    let retry_after_s = taken.free_at.map(|free_at| (free_at - now()).max(0) / 1000 + 1);
    Ok(Json(Assignments { assignments, retry_after_s }))
}

/// What this person holds in the sprint, and what they get where it is open.
pub(crate) async fn take_for(
    app: &App,
    sprint: &HostedSprint,
    person: &Person,
    count: usize,
) -> Result<Taken, Problem> {
    let (ctx, state) = (sprint.ctx(), sprint.state());
    Ok(annotate::take(app.store(), &ctx.sprint, &ctx.config, state, &person.id, count, now()).await?)
}

/// Answers an assignment. The answer is on disk when this returns.
#[utoipa::path(put, path = "/api/v1/assignments/{id}/response", params(("id" = String, Path)),
    security(("token" = []), ("session" = [])), request_body = ResponseBody,
    responses((status = 201, body = Saved), (status = 200, body = Saved), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 410, body = Problem),
    (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn respond(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    SignedIn(person): SignedIn,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body: ResponseBody = read(body)?;
    let choice = Choice::from_word(&body.answer).ok_or_else(|| {
        let known: Vec<&str> = Choice::ALL.iter().map(|choice| choice.as_str()).collect();
        let word: String = body.answer.chars().take(60).collect();
        Problem::unknown_answer(format!("`{word}` is none of {}.", known.join(", ")))
    })?;
    if body.comment.as_ref().is_some_and(|comment| comment.chars().count() > LONGEST_COMMENT) {
        return Err(Problem::bad_request(format!(
            "A comment may have {LONGEST_COMMENT} characters at the most."
        )));
    }
    let given = Given { choice, duration_ms: body.duration_ms, comment: body.comment };
    let responded = answer(&app, client, &person, &AssignmentId::from_text(id), given).await?;
    let saved = |status: StatusCode, saved: &'static str| Ok((status, Json(Saved { saved })).into_response());
    match responded {
        Responded::Recorded => saved(StatusCode::CREATED, "recorded"),
        Responded::Repeated => saved(StatusCode::OK, "repeated"),
        Responded::Replaced => saved(StatusCode::OK, "replaced"),
        Responded::Settled => Err(Problem::settled(
            "Your first answer stands: 10 minutes have passed since, or the sprint is closed.",
        )),
        Responded::Gone => Err(Problem::gone(NOT_OPEN)),
        Responded::Unknown => Err(Problem::not_found("You hold no such assignment.")),
    }
}

/// What is said of a pair that takes no answer any more.
const NOT_OPEN: &str = "Others have filled this pair meanwhile, it was withdrawn, the sprint is closed, or your answers are left out (see /me).";

/// Takes an answer in, by the rules of the sprint that it is about.
pub(crate) async fn answer(
    app: &App,
    client: Client,
    person: &Person,
    assignment: &AssignmentId,
    given: Given,
) -> Result<Responded, Problem> {
    let choice = given.choice;
    // Only a report and a skip need to know what the sprint makes of them; every answer would pay for the question.
    let sprint = match choice {
        Choice::ToxicContent | Choice::Skip => {
            app.sprint_of(app.store().sprint_of_assignment(assignment).await?.as_ref())
        }
        _ => None,
    };
    let reporting =
        sprint.as_ref().map_or_else(Reporting::default, |sprint| annotate::reporting(&sprint.config()));
    let responded = annotate::respond(app.store(), reporting, &person.id, assignment, given, now()).await?;
    app.pulse().change();
    // What is reported, or skipped too often, leaves the line where it stood: its category falls behind.
    if let Some(sprint) = &sprint
        && app.store().is_withheld(assignment).await.unwrap_or(true)
    {
        sprint.disorder();
    }
    if responded == Responded::Recorded && choice != Choice::Skip {
        let of = match (sprint, app.sprints().as_slice()) {
            (Some(sprint), _) => Some(sprint),
            (None, [(_, only)]) => Some(Arc::clone(only)),
            // It is on disk whatever the database says now.
            (None, _) => match app.store().sprint_of_assignment(assignment).await {
                Ok(of) => app.sprint_of(of.as_ref()),
                Err(error) => {
                    tracing::warn!(%error, "an answer is counted for no address");
                    None
                }
            },
        };
        if let Some(sprint) = of {
            sprint.addresses().answer(network(client.address), now());
        }
    }
    Ok(responded)
}

/// Takes an answer back, by the rules of the sprint that it is about.
pub(crate) async fn undo(
    app: &App,
    person: &Person,
    assignment: &AssignmentId,
) -> Result<TakenBack, Problem> {
    let of = app.store().sprint_of_assignment(assignment).await?;
    let Some(sprint) = app.sprint_of(of.as_ref()) else { return Ok(TakenBack::Unknown) };
    let config = sprint.config();
    let withheld = app.store().is_withheld(assignment).await?;
    let taken_back =
        annotate::take_back(app.store(), &config.annotate, &person.id, assignment, now()).await?;
    app.pulse().change();
    // What comes back stands where it stood.
    if withheld && taken_back == TakenBack::Open {
        sprint.disorder();
    }
    Ok(taken_back)
}

/// Takes an answer back, within 10 minutes; the assignment is open again with a fresh lease.
#[utoipa::path(delete, path = "/api/v1/assignments/{id}/response", params(("id" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 204), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 410, body = Problem)))]
pub(crate) async fn take_back(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    match undo(&app, &person, &AssignmentId::from_text(id)).await? {
        // Taking back what is taken back already has the same end.
        TakenBack::Open | TakenBack::Nothing => Ok(StatusCode::NO_CONTENT),
        TakenBack::Settled => Err(Problem::settled(
            "Your answer stands: 10 minutes have passed since, or the sprint is closed.",
        )),
        TakenBack::Gone => Err(Problem::gone(NOT_OPEN)),
        TakenBack::Unknown => Err(Problem::not_found("You hold no such assignment.")),
    }
}

/// People by how much they have answered.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/leaderboard", params(("slug" = String, Path)),
    responses((status = 200, body = Leaderboard), (status = 404, body = Problem)))]
pub(crate) async fn leaderboard(
    State(app): State<App>,
    Path(slug): Path<String>,
) -> Result<Json<Leaderboard>, Problem> {
    let sprint = app.sprint(&slug)?;
    let board = sprint.board(app.pulse().changes()).await?;
    let places = |places: &[board::Place]| places.iter().map(Place::of).collect();
    Ok(Json(Leaderboard { people: places(&board.people), today: places(&board.today) }))
}

/// How far a sprint is.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/progress", params(("slug" = String, Path)),
    security((), ("token" = []), ("session" = [])), responses((status = 200, body = Progress),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn progress(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
) -> Result<Json<Progress>, Problem> {
    let sprint = app.sprint(&slug)?;
    let progress = sprint.public_progress(app.pulse().changes()).await?;
    let mine = match person {
        None => None,
        Some(person) => {
            let (responses, today) =
                app.store().responses_of(&sprint.ctx().sprint, &person.id, midnight(now())).await?;
            let (place, people) = sprint.counts().await?.place(&person.id);
            Some(Mine { responses, today, place, people })
        }
    };
    Ok(Json(Progress {
        pairs: progress.pairs,
        completed: progress.completed,
        responses: progress.submitted,
        wanted: progress.wanted,
        line: sprint.line(app.pulse().changes()).await?,
        state: sprint.state().as_str(),
        announcement: sprint.running().announcement.map(|(id, text)| Told { id, text }),
        mine,
    }))
}

/// The report: for everybody where the organizer opened it or the sprint is closed, else for organizers.
#[utoipa::path(get, path = "/api/v1/sprints/{slug}/results", params(("slug" = String, Path)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "The report, as `diptych report --json` prints it"),
    (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn results(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let sprint = app.sprint(&slug)?;
    let report = results_for(&app, &sprint, person.as_ref()).await?;
    Ok(Json(&*report).into_response())
}

/// The report as this person may see it.
pub(crate) async fn results_for(
    app: &App,
    sprint: &HostedSprint,
    person: Option<&Person>,
) -> Result<Arc<Report>, Problem> {
    if !may_see_results(app, sprint, person).await? {
        app.gates().count(Gate::Role, Said::Refused);
        return Err(Problem::forbidden(
            "The results are shown when the sprint is closed, or when its organizer opens them.",
        ));
    }
    if organizes(app, sprint, person).await? {
        return sprint.report().await;
    }
    sprint.public_report(app.pulse().changes()).await
}

async fn organizes(app: &App, sprint: &HostedSprint, person: Option<&Person>) -> Result<bool, Problem> {
    let Some(person) = person else { return Ok(false) };
    Ok(app.role(sprint, person).await? == Role::Organizer)
}

/// Whether the results of a sprint are open to this person.
pub(crate) async fn may_see_results(
    app: &App,
    sprint: &HostedSprint,
    person: Option<&Person>,
) -> Result<bool, Problem> {
    let opened = sprint.config().annotate.public_results || sprint.state().is_over();
    Ok(opened || organizes(app, sprint, person).await?)
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// Rows and blobs can be written.
#[utoipa::path(get, path = "/readyz", responses((status = 200), (status = 503, body = Problem)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.is_ready().await?;
    Ok("ready\n")
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200)))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut text = String::new();
    // What is archived stands in no list any more.
    let sprints: Vec<_> =
        app.sprints().into_iter().filter(|(_, sprint)| sprint.state() != SprintState::Archived).collect();
    let mut known = Vec::new();
    for (slug, sprint) in &sprints {
        match sprint.public_progress(app.pulse().changes()).await {
            Ok(progress) => known.push((slug, progress)),
            // What else there is to say is wanted just then.
            Err(problem) => tracing::warn!(?problem, slug, "its progress is missing among the figures"),
        }
    }
    for (name, help) in [
        ("pairs", "Pairs of the sprint."),
        ("pairs_completed", "Pairs with all the responses that they want."),
        ("responses", "Responses that count."),
        ("responses_wanted", "Responses that are wanted in all."),
    ] {
        text.push_str(&format!("# HELP diptych_{name} {help}\n# TYPE diptych_{name} gauge\n"));
        for (slug, progress) in &known {
            let value = match name {
                "pairs" => progress.pairs,
                "pairs_completed" => progress.completed,
                "responses" => progress.submitted,
                _ => progress.wanted,
            };
            text.push_str(&format!("diptych_{name}{{sprint=\"{slug}\"}} {value}\n"));
        }
    }
    text.push_str("# HELP diptych_alerts What organizers should look at.\n# TYPE diptych_alerts gauge\n");
    for (slug, sprint) in &sprints {
        text.push_str(&format!("diptych_alerts{{sprint=\"{slug}\"}} {}\n", sprint.alerts().len()));
    }
    text.push_str("# HELP diptych_errors_total Requests that the server could not serve.\n");
    text.push_str(&format!(
        "# TYPE diptych_errors_total counter\ndiptych_errors_total {}\n",
        app.pulse().errors()
    ));
    text.push_str(&app.gates().metrics());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

pub(crate) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(crate::TOO_LARGE),
        _ => Problem::bad_request("The request broke off."),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("The body is not as described: {error}.")))
}
