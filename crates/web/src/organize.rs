//! The organizers' page: how the sprint goes at this moment, what stands out, whose answers look how, and what
//! organizers can do about it.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use diptych_core::{PersonId, SprintState, visible};
use diptych_stages::annotators::{Figures, Share};
use diptych_stages::ctx::now;
use diptych_store::people::Person;
use diptych_tables::output::{self, Format};
use diptych_tables::sql;
use futures::Stream;
use futures::stream::unfold;
use serde::{Deserialize, Serialize};

use crate::frame::{Frame, message, page};
use crate::hosted::HostedSprint;
use crate::pages::{not_found, percent, thousands};
use crate::problem::{Path, Problem};
use crate::pulse::free_space;
use crate::review::organizer;
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::texts::Reader;

/// How often the live page hears of new figures.
const EVERY: Duration = Duration::from_secs(2);

/// The longest announcement, in characters.
const LONGEST: usize = 500;

/// One person's figures, in words.
struct PersonRow {
    name: String,
    pseudonym: String,
    simulated: bool,
    excluded: Option<String>,
    answers: String,
    median: String,
    left: String,
    agreement: String,
    gold: String,
    repeats: String,
    run: String,
    change: String,
    remarks: String,
}

impl PersonRow {
    fn of(figures: &Figures) -> Self {
        let change = &figures.change;
        let model = change.model.as_ref().map_or_else(String::new, |(model, was, becomes)| {
            format!("; {model} from {:.1} to {:.1}\u{a0}% of decided answers", was * 100.0, becomes * 100.0)
        });
        Self {
            name: figures.who.name.clone(),
            pseudonym: figures.who.pseudonym.clone(),
            simulated: figures.who.simulated,
            excluded: figures.who.excluded.clone(),
            answers: thousands(figures.answers),
            median: figures
                .median_ms
                .map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0)),
            left: share(figures.left),
            agreement: share(figures.agreement),
            gold: share(figures.gold),
            repeats: share(figures.repeats),
            run: figures.run.map_or_else(|| "–".to_owned(), |(_, run)| run.to_string()),
            change: match change.reopened {
                0 => "Nothing.".to_owned(),
                pairs => format!("{pairs} pairs reopen, {} verdicts change{model}.", change.verdicts),
            },
            remarks: figures.remarks.join("; "),
        }
    }
}

/// A share with its interval: `62 % (55–68)`.
fn share(share: Share) -> String {
    match (share.value(), share.interval()) {
        (Some(value), Some((low, high))) => {
            format!("{:.0}\u{a0}% ({:.0}–{:.0})", value * 100.0, low * 100.0, high * 100.0)
        }
        _ => "–".to_owned(),
    }
}

#[derive(Template)]
#[template(path = "organize.html")]
struct Organize {
    frame: Frame,
    slug: String,
    sprint: String,
    state: SprintState,
    live: Live,
    alerts: Vec<String>,
    announcement: String,
    checks_on: bool,
    people: Vec<PersonRow>,
    /// People beyond those that are shown.
    more: usize,
}

/// The most people that the page shows; who stands out comes first.
const MOST_PEOPLE: usize = 200;

/// The sprint, where this person organizes it; otherwise the page that says why not.
async fn organized(
    app: &App,
    slug: &str,
    person: Option<&Person>,
) -> Result<Result<std::sync::Arc<HostedSprint>, Response>, Problem> {
    let Ok(sprint) = app.sprint(slug) else {
        return Ok(Err(not_found(app, person, &Reader::of_english()).await));
    };
    let Some(person) = person else {
        return Ok(Err(Redirect::to(&format!("/enter?next=/s/{slug}/organize")).into_response()));
    };
    let Err(problem) = organizer(app, &sprint, person).await else { return Ok(Ok(sprint)) };
    let says = ["For organizers", problem.detail.as_str()];
    let english = Reader::of_english();
    let page =
        message(app, Some(person), &english, says, [&format!("/s/{slug}"), "Compare pictures"]).await?;
    Ok(Err((StatusCode::FORBIDDEN, page).into_response()))
}

pub(crate) async fn show(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let sprint = match organized(&app, &slug, person.as_ref()).await? {
        Ok(sprint) => sprint,
        Err(response) => return Ok(response),
    };
    let figures = sprint.figures().await?;
    let config = sprint.config();
    let title = config.sprint.title.clone();
    let frame = Frame::new(format!("Organize · {title}"), person.as_ref(), "organize");
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    let organize = Organize {
        frame,
        slug,
        sprint: title,
        state: sprint.state(),
        live: Live::now(&app, &sprint).await?,
        alerts: sprint.alerts(),
        announcement: sprint.running().announcement.map_or_else(String::new, |(_, text)| text),
        checks_on: config.checks.are_on(),
        people: figures.iter().take(MOST_PEOPLE).map(PersonRow::of).collect(),
        more: figures.len().saturating_sub(MOST_PEOPLE),
    };
    Ok(page(&organize)?.into_response())
}

/// How the sprint goes at this moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Live {
    /// Answers of the last minute.
    minute: i64,
    /// People who have answered in the last five.
    people: i64,
    percent: i64,
    responses: String,
    wanted: String,
    /// Of the complete pairs, those on which everybody agrees.
    unanimous: String,
    /// Requests that this server could not serve, since it was started.
    errors: u64,
    /// Free space where the sprint's folder is.
    disk: String,
    state: &'static str,
    alerts: Vec<String>,
}

impl Live {
    async fn now(app: &App, sprint: &HostedSprint) -> Result<Self, Problem> {
        let ctx = sprint.ctx();
        let (progress, lately) = (sprint.progress(app.pulse().changes()).await?, sprint.lately().await?);
        let unanimous = sprint.report().await?.agreement.unanimous;
        let disk = free_space(&ctx.folder);
        Ok(Self {
            minute: lately.minute,
            people: lately.people,
            percent: percent(progress.submitted, progress.wanted),
            responses: thousands(progress.submitted.unsigned_abs()),
            wanted: thousands(progress.wanted.unsigned_abs()),
            unanimous: unanimous
                .map_or_else(|| "–".to_owned(), |share| format!("{:.0}\u{a0}%", share.value * 100.0)),
            errors: app.pulse().errors(),
            disk: disk.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1}\u{a0}GB", bytes as f64 / 1e9)),
            state: sprint.state().as_str(),
            alerts: sprint.alerts(),
        })
    }
}

/// The figures of this moment, again and again, for as long as somebody looks and the server runs.
pub(crate) async fn live(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(slug): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let stopping = app.stopping().clone();
    let events = unfold((app, sprint, person), |(app, sprint, person)| async move {
        tokio::time::sleep(EVERY).await;
        // Who organizes it no more hears no more.
        organizer(&app, &sprint, &person).await.ok()?;
        let event = match Live::now(&app, &sprint).await {
            Ok(live) => Event::default().json_data(&live),
            Err(problem) => Event::default().event("problem").json_data(&problem),
        };
        Some((event, (app, sprint, person)))
    });
    // A figure that cannot be written is left out; the next one comes.
    let events = futures::StreamExt::filter_map(events, async |event| event.ok().map(Ok));
    let events = futures::StreamExt::take_until(events, stopping.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// What the organizer's form asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct NewState {
    #[serde(default)]
    state: String,
}

pub(crate) async fn set_state(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(form): Form<NewState>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let known = || SprintState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    let state = SprintState::from_word(&form.state)
        .ok_or_else(|| Problem::bad_request(format!("`state` must be one of {}.", known())))?;
    app.store().set_sprint_state(&sprint.ctx().sprint, state).await?;
    app.read_running().await?;
    Ok(back(&slug))
}

/// What everybody is told.
#[derive(Debug, Deserialize)]
pub(crate) struct Announcement {
    #[serde(default)]
    text: String,
}

pub(crate) async fn announce(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(form): Form<Announcement>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let text = visible(&form.text);
    if text.chars().count() > LONGEST {
        return Err(Problem::bad_request(format!("An announcement may have {LONGEST} characters.")));
    }
    app.store().announce(&sprint.ctx().sprint, &person.id, &text, now()).await?;
    app.read_running().await?;
    Ok(back(&slug))
}

/// Whose answers count, and why not.
#[derive(Debug, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    pseudonym: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    counts: String,
}

pub(crate) async fn set_counts(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(form): Form<Counts>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let id = &sprint.ctx().sprint;
    let who: PersonId = app
        .store()
        .person_of_pseudonym(id, &form.pseudonym)
        .await?
        .ok_or_else(|| Problem::not_found("Nobody answers here under this pseudonym."))?;
    let reason: String = form.reason.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    match form.counts.as_str() {
        "no" if reason.is_empty() => return Err(Problem::bad_request("Say why, for whoever reads the log.")),
        "no" => _ = app.store().exclude(id, &who, &reason, now()).await?,
        "yes" => _ = app.store().include(id, &who, now()).await?,
        _ => return Err(Problem::bad_request("`counts` must be yes or no.")),
    }
    sprint.forget_figures().await;
    Ok(Redirect::to(&format!("/s/{slug}/organize#people")))
}

fn back(slug: &str) -> Redirect {
    Redirect::to(&format!("/s/{slug}/organize"))
}

/// A table of the sprint as a file, at any time: the same rows as `diptych sql` sees.
pub(crate) async fn export(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path((slug, file)): Path<(String, String)>,
) -> Result<Response, Problem> {
    const TABLES: [&str; 6] = ["responses", "annotators", "preferences", "results", "binarized", "prompts"];
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let (table, format, kind) = match file.rsplit_once('.') {
        Some((table, "csv")) => (table, Format::Csv, "text/csv; charset=utf-8"),
        Some((table, "json")) => (table, Format::Json, "application/json"),
        Some((table, "parquet")) => (table, Format::Parquet, "application/vnd.apache.parquet"),
        _ => return Err(Problem::not_found("A table ends in .csv, .json or .parquet.")),
    };
    if !TABLES.contains(&table) {
        return Err(Problem::not_found(format!("The tables are {}.", TABLES.join(", "))));
    }
    let failed = |error: &(dyn std::error::Error + 'static)| {
        tracing::error!(error = %diptych_engine::chain(error), "a table cannot be exported");
        Problem::internal("The table cannot be written.")
    };
    let tables = diptych_stages::publish::tables(&sprint.ctx()).await?;
    let (query, runtime) = (format!("SELECT * FROM {table}"), tokio::runtime::Handle::current());
    // Computing it keeps no answer waiting.
    let written = tokio::task::spawn_blocking(move || {
        let rows = runtime.block_on(sql::query(tables, &query)).map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        output::write(&rows, format, &mut bytes).map_err(|error| failed(&error))?;
        Ok::<_, Problem>(bytes)
    });
    let bytes = written.await.map_err(|_| Problem::internal("The table cannot be written."))??;
    let name = format!("attachment; filename=\"{slug}-{file}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], bytes)
        .into_response())
}
