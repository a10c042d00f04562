//! The page where people compare, and the same without JavaScript.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use diptych_core::config::{SprintConfig, SprintSection};
use diptych_core::{AssignmentId, Choice, SprintState};
use diptych_headers::Client;
use diptych_stages::annotate::Given;
use diptych_stages::ctx::now;
use diptych_stages::results::notes;
use diptych_store::people::Person;
use diptych_store::responses::{Responded, TakenBack};
use serde::Deserialize;

use crate::api::{self, take_for};
use crate::frame::{Frame, page};
use crate::hosted::HostedSprint;
use crate::pages::{midnight, not_found, percent};
use crate::problem::{Form, Path, Problem, Query};
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::terms::{self, has_agreed};
use crate::texts::Reader;

#[derive(Template)]
#[template(path = "annotate.html")]
struct Annotate {
    frame: Frame,
    slug: String,
    pairs: i64,
    question: String,
    /// Whether the question is another than the usual one, which the page asks in short.
    asks_otherwise: bool,
    /// The sprint's own; none where the page's words hold.
    guidelines: Vec<String>,
    notes: String,
    percent: i64,
    today: i64,
    total: i64,
    state: &'static str,
}

/// The sprint and who compares there; or the page that comes first.
async fn begun(
    app: &App,
    slug: &str,
    person: Option<Person>,
    reader: &Reader,
    here: &str,
) -> Result<Result<(std::sync::Arc<HostedSprint>, Person), Response>, Problem> {
    let Ok(sprint) = app.sprint(slug) else { return Ok(Err(not_found(app, person.as_ref(), reader).await)) };
    let Some(person) = person else {
        return Ok(Err(Redirect::to(&format!("/enter?next={here}")).into_response()));
    };
    if !has_agreed(app, &sprint, &person).await? {
        return Ok(Err(terms::shown(app, slug, &sprint, &person, reader, None).await?.into_response()));
    }
    Ok(Ok((sprint, person)))
}

pub(crate) async fn show(
    State(app): State<App>,
    reader: Reader,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let here = format!("/s/{slug}");
    let (sprint, person) = match begun(&app, &slug, person, &reader, &here).await? {
        Ok(begun) => begun,
        Err(response) => return Ok(response),
    };
    let (ctx, config, t) = (sprint.ctx(), sprint.config(), reader.t);
    let progress = sprint.public_progress(app.pulse().changes()).await?;
    let (total, today) = app.store().responses_of(&ctx.sprint, &person.id, midnight(now())).await?;
    let frame = Frame::new(config.sprint.title.clone(), Some(&person), "").for_reader(&reader);
    let frame = frame.of_sprint(&config);
    let html = page(&Annotate {
        frame: frame.for_moderators(&app, Some(&person)).await?,
        slug,
        pairs: progress.pairs,
        asks_otherwise: asks_otherwise(&config),
        question: t.question(&config.sprint),
        guidelines: config.annotate.guidelines.lines().map(str::to_owned).collect(),
        notes: t.notes(&notes(&config)),
        percent: percent(progress.submitted, progress.wanted),
        today,
        total,
        state: sprint.state().as_str(),
    })?;
    Ok(html.into_response())
}

fn asks_otherwise(config: &SprintConfig) -> bool {
    config.sprint.question != SprintSection::usual_question()
}

/// A pair, as the page without JavaScript shows it.
struct PlainPair {
    id: String,
    prompt: String,
    category: String,
    left: String,
    right: String,
    width: i64,
    height: i64,
    shown_at: i64,
}

#[derive(Template)]
#[template(path = "plain.html")]
struct Plain {
    frame: Frame,
    slug: String,
    sprint: String,
    question: String,
    asks_otherwise: bool,
    /// What everybody should know of how it was screened.
    notes: String,
    /// What went wrong; then nothing is asked.
    problem: Option<Problem>,
    pair: Option<PlainPair>,
    /// What can be taken back: see [`Before`].
    last: String,
    /// The newest of them.
    undo: Option<String>,
    /// What is said where there is no pair.
    empty: &'static str,
    /// What the organizers tell everybody.
    told: String,
}

impl Plain {
    /// The page, asking nothing.
    fn of(config: &SprintConfig, slug: &str, person: Option<&Person>, reader: &Reader) -> Self {
        Self {
            frame: Frame::new(config.sprint.title.clone(), person, "").for_reader(reader).of_sprint(config),
            slug: slug.to_owned(),
            sprint: config.sprint.title.clone(),
            question: reader.t.question(&config.sprint),
            asks_otherwise: asks_otherwise(config),
            notes: reader.t.notes(&notes(config)),
            problem: None,
            pair: None,
            last: String::new(),
            undo: None,
            empty: "",
            told: String::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Before {
    /// The assignments that were answered before, the newest at the end, with dots between.
    #[serde(default)]
    last: String,
}

/// How many answers the page without JavaScript remembers, to take them back.
const REMEMBERED: usize = 10;

/// The assignments of `last` but this one.
fn without(last: &str, assignment: &str) -> Vec<String> {
    // They come from a browser, and go into an address.
    let is_id = |id: &&str| id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let ids: Vec<&str> = last.split('.').filter(|id| *id != assignment).filter(is_id).collect();
    ids.iter().skip(ids.len().saturating_sub(REMEMBERED)).map(|id| (*id).to_owned()).collect()
}

/// The address of the page without JavaScript.
fn plainly(slug: &str, last: &[String]) -> String {
    if last.is_empty() {
        return format!("/s/{slug}/plain");
    }
    format!("/s/{slug}/plain?last={}", last.join("."))
}

/// One pair at a time, in a form.
pub(crate) async fn plain(
    State(app): State<App>,
    reader: Reader,
    visitor: Result<Visitor, Problem>,
    Path(slug): Path<String>,
    before: Result<Query<Before>, Problem>,
) -> Response {
    let last = before.as_ref().map(|Query(before)| without(&before.last, "")).unwrap_or_default();
    let known = visitor.as_ref().ok().and_then(|Visitor(person)| person.clone());
    let shown = async {
        before?;
        show_plainly(&app, &reader, visitor?, &slug, &last).await
    };
    match shown.await {
        Ok(response) => response,
        Err(problem) => in_words(&app, &reader, known.as_ref(), &slug, &last, problem).await,
    }
}

async fn show_plainly(
    app: &App,
    reader: &Reader,
    Visitor(person): Visitor,
    slug: &str,
    last: &[String],
) -> Result<Response, Problem> {
    let (sprint, person) = match begun(app, slug, person, reader, &format!("/s/{slug}/plain")).await? {
        Ok(begun) => begun,
        Err(response) => return Ok(response),
    };
    let taken = take_for(app, &sprint, &person, 1).await?;
    let pair = taken.held.first().map(|held| PlainPair {
        id: held.id.to_string(),
        prompt: held.prompt.clone(),
        category: held.category.clone(),
        left: app.picture_address(&held.left),
        right: app.picture_address(&held.right),
        width: held.canvas.0,
        height: held.canvas.1,
        shown_at: now(),
    });
    let empty = match sprint.state() {
        SprintState::Paused => "empty_paused",
        SprintState::Closed | SprintState::Archived => "empty_closed",
        SprintState::Open if taken.free_at.is_some() => "empty_waiting",
        SprintState::Open => "empty_finished",
    };
    let plain = Plain::of(&sprint.config(), slug, Some(&person), reader);
    let frame = plain.frame.for_moderators(app, Some(&person)).await?;
    let (undo, last) = (last.last().cloned(), last.join("."));
    let told = sprint.running().announcement.map_or_else(String::new, |(_, text)| text);
    Ok(page(&Plain { frame, pair, last, undo, empty, told, ..plain })?.into_response())
}

/// A problem, for people: what happened, and the way on.
async fn in_words(
    app: &App,
    reader: &Reader,
    person: Option<&Person>,
    slug: &str,
    last: &[String],
    problem: Problem,
) -> Response {
    let Ok(sprint) = app.sprint(slug) else { return not_found(app, person, reader).await };
    // With the status and the time to come back that a program is told.
    let mut response = problem.clone().into_response();
    let plain = Plain::of(&sprint.config(), slug, person, reader);
    if let Ok(html) = page(&Plain { problem: Some(problem), last: last.join("."), ..plain }) {
        let (parts, body) = html.into_response().into_parts();
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    }
    response
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct PlainAnswer {
    #[serde(default)]
    assignment: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    shown_at: Option<i64>,
    #[serde(default)]
    last: String,
}

pub(crate) async fn answer_plainly(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    person: Result<SignedIn, Problem>,
    reader: Reader,
    headers: HeaderMap,
    Path(slug): Path<String>,
    form: Result<Form<PlainAnswer>, Problem>,
) -> Response {
    let known = person.as_ref().ok().map(|SignedIn(person)| person.clone());
    let taken_in = async {
        let SignedIn(person) = person?;
        only_from_here(&headers)?;
        app.sprint(&slug)?;
        let Form(form) = form.as_ref().map_err(Problem::clone)?;
        take_in(&app, client, &person, form).await
    };
    match taken_in.await {
        Ok(last) => Redirect::to(&plainly(&slug, &last)).into_response(),
        Err(problem) => {
            let last = form.map(|Form(form)| match problem.status {
                // It is no use to ask again.
                404 | 409 => without(&form.last, &form.assignment),
                _ => without(&form.last, ""),
            });
            in_words(&app, &reader, known.as_ref(), &slug, &last.unwrap_or_default(), problem).await
        }
    }
}

/// Takes in what was pressed; what can be taken back then.
async fn take_in(
    app: &App,
    client: Client,
    person: &Person,
    form: &PlainAnswer,
) -> Result<Vec<String>, Problem> {
    let mut last = without(&form.last, &form.assignment);
    let assignment = AssignmentId::from_text(form.assignment.clone());
    if form.answer == "undo" {
        return match api::undo(app, person, &assignment).await? {
            TakenBack::Open | TakenBack::Nothing => Ok(last),
            TakenBack::Settled | TakenBack::Gone => Err(Problem::settled("It can no longer be taken back.")),
            TakenBack::Unknown => Err(Problem::not_found("You hold no such pair.")),
        };
    }
    let choice = Choice::from_word(&form.answer)
        .ok_or_else(|| Problem::unknown_answer("Choose one of the answers on the page."))?;
    let duration_ms = form.shown_at.map(|shown| now().saturating_sub(shown));
    let given = Given { choice, duration_ms, comment: None };
    match api::answer(app, client, person, &assignment, given).await? {
        Responded::Recorded | Responded::Repeated | Responded::Replaced => {
            last.push(assignment.to_string());
            Ok(last)
        }
        Responded::Settled => Err(Problem::settled("Another answer stands.")),
        Responded::Gone => Err(Problem::gone("It is no longer open.")),
        Responded::Unknown => Err(Problem::not_found("You hold no such pair.")),
    }
}
