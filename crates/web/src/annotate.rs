//! The page where people compare, and the same without JavaScript.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use diptych_core::config::{SprintConfig, SprintSection};
use diptych_core::{AssignmentId, Choice, SprintState};
use diptych_stages::annotate::Given;
use diptych_stages::ctx::now;
use diptych_stages::results::notes;
use diptych_store::people::Person;
use diptych_store::responses::Responded;
use serde::Deserialize;

use crate::api::{self, take_for};
use crate::client::Client;
use crate::frame::{Frame, page};
use crate::hosted::HostedSprint;
use crate::pages::{not_found, percent};
use crate::problem::{Path, Problem, Query};
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::terms::{self, has_agreed};
use crate::texts::{self, Reader, Texts};

#[derive(Template)]
#[template(path = "annotate.html")]
struct Annotate {
    frame: Frame,
    slug: String,
    /// The person's id, so that one browser keeps several people's unsent answers apart.
    who: String,
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
    t: &'static Texts,
    languages: &'static [Texts],
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
    let progress = sprint.progress(app.pulse().changes()).await?;
    let (total, today) = app.store().responses_of(&ctx.sprint, &person.id, now() - 24 * 3600 * 1000).await?;
    let frame = Frame::new(config.sprint.title.clone(), Some(&person), "").for_reader(&reader);
    let frame = frame.of_sprint(&config);
    let html = page(&Annotate {
        frame: frame.for_moderators(&app, Some(&person)).await?,
        slug,
        who: person.id.to_string(),
        pairs: progress.pairs,
        asks_otherwise: asks_otherwise(&config),
        question: t.question(&config.sprint),
        guidelines: config.annotate.guidelines.lines().map(str::to_owned).collect(),
        notes: t.notes(&notes(&config)),
        percent: percent(progress.submitted, progress.wanted),
        today,
        total,
        state: sprint.state().as_str(),
        t,
        languages: texts::languages(),
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
    t: &'static Texts,
    pair: Option<PlainPair>,
    /// The assignment that was answered before this one.
    last: Option<String>,
    /// What is said where there is no pair.
    empty: &'static str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Before {
    #[serde(default)]
    last: Option<String>,
}

/// One pair at a time, in a form.
pub(crate) async fn plain(
    State(app): State<App>,
    reader: Reader,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
    Query(before): Query<Before>,
) -> Result<Response, Problem> {
    let (sprint, person) = match begun(&app, &slug, person, &reader, &format!("/s/{slug}/plain")).await? {
        Ok(begun) => begun,
        Err(response) => return Ok(response),
    };
    let taken = take_for(&app, &sprint, &person, 1).await?;
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
    let (config, t) = (sprint.config(), reader.t);
    let frame = Frame::new(config.sprint.title.clone(), Some(&person), "").for_reader(&reader);
    let frame = frame.of_sprint(&config);
    let frame = frame.for_moderators(&app, Some(&person)).await?;
    let (sprint, question) = (config.sprint.title.clone(), t.question(&config.sprint));
    let asks_otherwise = asks_otherwise(&config);
    Ok(page(&Plain { frame, slug, sprint, question, asks_otherwise, t, pair, last: before.last, empty })?
        .into_response())
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
}

pub(crate) async fn answer_plainly(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(form): Form<PlainAnswer>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    app.sprint(&slug)?;
    let assignment = AssignmentId::from_text(form.assignment);
    if form.answer == "undo" {
        api::undo(&app, &person, &assignment).await?;
        return Ok(Redirect::to(&format!("/s/{slug}/plain")).into_response());
    }
    let choice = Choice::from_word(&form.answer)
        .ok_or_else(|| Problem::unknown_answer("Choose one of the answers on the page."))?;
    let duration_ms = form.shown_at.map(|shown| now().saturating_sub(shown));
    let given = Given { choice, duration_ms, comment: None };
    if api::answer(&app, client, &person, &assignment, given).await? == Responded::Unknown {
        return Err(Problem::not_found("You hold no such pair."));
    }
    // What was pressed can be taken back from the next page.
    let next = format!("/s/{slug}/plain?last={assignment}");
    Ok((StatusCode::SEE_OTHER, Redirect::to(&next)).into_response())
}
