//! The organizers' page: how the sprint goes at this moment, what stands out, whose answers look how, and what
//! organizers can do about it.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use diptych_core::{Choice, PersonId, SprintState, visible};
use diptych_stages::annotators::{Change, Figures, Remark, Share};
use diptych_stages::ctx::now;
use diptych_store::exclusions::Exclusion;
use diptych_tables::output::{self, Format};
use diptych_tables::sql;
use futures::Stream;
use futures::stream::unfold;
use serde::{Deserialize, Serialize};

use crate::frame::{Frame, page};
use crate::hosted::HostedSprint;
use crate::pages::{entrusted, moment, percent};
use crate::problem::{Form, Path, Problem, Query, to_the_end};
use crate::pulse::free_space;
use crate::review::organizer;
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::texts::{Reader, Texts};

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
    fn of(figures: &Figures, t: &Texts) -> Self {
        let none = || "–".to_owned();
        let share = |share: Share| t.share(share.value().zip(share.interval()));
        let remarks: Vec<String> = figures.remarks.iter().map(|remark| said(*remark, t)).collect();
        Self {
            name: t.name(&figures.who.name).to_owned(),
            pseudonym: figures.who.pseudonym.clone(),
            simulated: figures.who.simulated,
            excluded: figures.who.excluded.clone(),
            answers: t.number(count(figures.answers)),
            median: figures
                .median_ms
                .map_or_else(none, |ms| format!("{} s", t.decimal(ms as f64 / 1000.0, 1))),
            left: share(figures.left),
            agreement: share(figures.agreement),
            gold: share(figures.gold),
            repeats: share(figures.repeats),
            run: figures.run.map_or_else(none, |(_, run)| run.to_string()),
            change: changed(&figures.change, t),
            remarks: remarks.join("; "),
        }
    }
}

/// Somebody whose answers do not count, or did not for a while.
struct LeftOut {
    name: String,
    reason: String,
    from: String,
    to: String,
}

impl LeftOut {
    fn of(exclusion: Exclusion, t: &Texts) -> Self {
        let to = exclusion.ended_at.map_or_else(|| "–".to_owned(), moment);
        let (name, from) = (t.name(&exclusion.name).to_owned(), moment(exclusion.excluded_at));
        Self { name, reason: exclusion.reason, from, to }
    }
}

/// What it would change to leave somebody out, in words.
fn changed(change: &Change, t: &Texts) -> String {
    if *change == Change::default() {
        return t.say("organize_nothing").to_owned();
    }
    let [pairs, verdicts] = [change.reopened, change.verdicts].map(|number| t.number(count(number)));
    let pairs = t.fill("organize_changes", [("pairs", pairs.as_str()), ("verdicts", &verdicts)]);
    let Some((model, was, becomes)) = &change.model else { return pairs };
    let [was, becomes] = [was, becomes].map(|share| t.decimal(share * 100.0, 1));
    let shift = [("model", model.as_str()), ("was", &was), ("becomes", &becomes)];
    format!("{pairs} {}", t.fill("organize_shift", shift))
}

/// What is out of line, in words.
fn said(remark: Remark, t: &Texts) -> String {
    match remark {
        Remark::MissesKnown => t.say("remark_misses").to_owned(),
        Remark::OtherwiseSwapped => t.say("remark_swapped").to_owned(),
        Remark::PrefersLeft => t.say("remark_left").to_owned(),
        Remark::PrefersRight => t.say("remark_right").to_owned(),
        Remark::AgreesLittle => t.say("remark_agrees").to_owned(),
        Remark::TooFast(ms) => {
            let seconds = t.decimal(ms as f64 / 1000.0, 1);
            t.fill("remark_fast", [("seconds", seconds.as_str())])
        }
        Remark::SameInARow(choice, run) => {
            let answer = match choice {
                Choice::ToxicContent => t.say("report_toxic"),
                choice => t.say(choice.as_str()),
            };
            t.fill("remark_run", [("run", run.to_string().as_str()), ("answer", answer)])
        }
    }
}

/// A count as the texts take it.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What the sprint is, and what that means.
fn state_words(state: SprintState, pairs: i64) -> [&'static str; 2] {
    match state {
        SprintState::Open if pairs == 0 => ["organize_is_open", "organize_no_pairs"],
        SprintState::Open => ["organize_is_open", "organize_open_says"],
        SprintState::Paused => ["organize_is_paused", "organize_paused_says"],
        SprintState::Closed => ["organize_is_closed", "organize_closed_says"],
        SprintState::Archived => ["organize_is_archived", "organize_archived_says"],
    }
}

#[derive(Template)]
#[template(path = "organize.html")]
struct Organize {
    frame: Frame,
    slug: String,
    sprint: String,
    state: SprintState,
    state_is: [&'static str; 2],
    live: Live,
    announcement: String,
    checks_on: bool,
    /// Who does not count, or did not for a while, the newest first.
    left_out: Vec<LeftOut>,
    people: Vec<PersonRow>,
    /// Where the people before and behind those that are shown begin.
    before: Option<usize>,
    after: Option<usize>,
    /// How many there are in all.
    all: String,
}

/// The most people that the page shows at once; who stands out comes first.
const MOST_PEOPLE: usize = 200;

/// From which person on they are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct From {
    from: u32,
}

pub(crate) async fn show(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
    Path(slug): Path<String>,
    Query(shown): Query<From>,
) -> Result<Response, Problem> {
    let t = reader.t;
    let sprint = match entrusted(&app, &reader, person.as_ref(), &slug, "organize").await? {
        Ok(sprint) => sprint,
        Err(response) => return Ok(response),
    };
    let figures = sprint.figures().await?;
    let config = sprint.config();
    let title = config.sprint.title.clone();
    let frame = Frame::new(format!("{} · {title}", t.say("organize")), person.as_ref(), "organize");
    let mut frame = frame.for_reader(&reader).for_moderators(&app, person.as_ref()).await?;
    // What organizers must hear of this sprint and of the gates stands on this page by itself, and is renewed.
    frame.alarms.retain(|(of, _)| of.as_ref().is_some_and(|of| *of != slug));
    let from = usize::try_from(shown.from).unwrap_or_default().min(figures.len());
    let organize = Organize {
        frame,
        slug,
        sprint: title,
        state: sprint.state(),
        state_is: state_words(sprint.state(), sprint.progress(app.pulse().changes()).await?.pairs),
        live: Live::now(&app, &sprint, t).await?,
        announcement: sprint.running().announcement.map_or_else(String::new, |(_, text)| text),
        checks_on: config.checks.are_on(),
        people: figures.iter().skip(from).take(MOST_PEOPLE).map(|one| PersonRow::of(one, t)).collect(),
        before: (from > 0).then(|| from.saturating_sub(MOST_PEOPLE)),
        after: (figures.len() > from + MOST_PEOPLE).then_some(from + MOST_PEOPLE),
        all: t.count("organize_all", figures.len() as i64),
        left_out: app
            .store()
            .exclusions(&sprint.ctx().sprint)
            .await?
            .into_iter()
            .map(|one| LeftOut::of(one, reader.t))
            .collect(),
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
    /// Free space: the least of where the sprint, the database and the images are, as far as that is on this machine.
    disk: String,
    state: &'static str,
    alerts: Vec<String>,
}

impl Live {
    async fn now(app: &App, sprint: &HostedSprint, t: &Texts) -> Result<Self, Problem> {
        let ctx = sprint.ctx();
        let (progress, lately) = (sprint.progress(app.pulse().changes()).await?, sprint.lately().await?);
        let unanimous = sprint.report().await?.agreement.unanimous;
        let database = ctx.store.folder();
        let folders = [Some(ctx.folder.as_path()), database.as_deref(), ctx.blobs.folder()];
        let disk = folders.into_iter().flatten().filter_map(free_space).min();
        let (alarm, alerts) = (app.gates().alarm().map(|alarm| t.alarm(&alarm)), sprint.alerts());
        Ok(Self {
            minute: lately.minute,
            people: lately.people,
            percent: percent(progress.submitted, progress.wanted),
            responses: t.number(progress.submitted),
            wanted: t.number(progress.wanted),
            unanimous: unanimous
                .map_or_else(|| "–".to_owned(), |share| format!("{:.0}\u{a0}%", share.value * 100.0)),
            errors: app.pulse().errors(),
            disk: disk.map_or_else(
                || "–".to_owned(),
                |bytes| format!("{}\u{a0}GB", t.decimal(bytes as f64 / 1e9, 1)),
            ),
            state: sprint.state().as_str(),
            alerts: alarm.into_iter().chain(alerts.iter().map(|alert| t.alert(alert))).collect(),
        })
    }
}

/// For how long one stream of figures goes on; the browser asks for the next one by itself.
const LONGEST_LOOK: Duration = Duration::from_secs(5 * 60);

/// The figures of this moment, again and again, for as long as somebody looks and the server runs.
pub(crate) async fn live(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    reader: Reader,
    Path(slug): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let sprint = app.sprint(&slug)?;
    organizer(&app, &sprint, &person).await?;
    let stopping = app.stopping().clone();
    let events = unfold((app, sprint, person), move |(app, sprint, person)| async move {
        tokio::time::sleep(EVERY).await;
        // Who organizes it no more hears no more.
        organizer(&app, &sprint, &person).await.ok()?;
        let event = match Live::now(&app, &sprint, reader.t).await {
            Ok(live) => Event::default().json_data(&live),
            Err(problem) => Event::default().event("problem").json_data(&problem),
        };
        Some((event, (app, sprint, person)))
    });
    // A figure that cannot be written is left out; the next one comes.
    let events = futures::StreamExt::filter_map(events, async |event| event.ok().map(Ok));
    // It begins anew after a while, so that it ends with the session.
    let ends = async move {
        tokio::select! {
            () = stopping.cancelled_owned() => {}
            () = tokio::time::sleep(LONGEST_LOOK) => {}
        }
    };
    let events = futures::StreamExt::take_until(events, Box::pin(ends));
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
    let who: PersonId = app
        .store()
        .person_of_pseudonym(&sprint.ctx().sprint, &form.pseudonym)
        .await?
        .ok_or_else(|| Problem::not_found("Nobody answers here under this pseudonym."))?;
    let reason: String = form.reason.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let counts = match form.counts.as_str() {
        "no" if reason.is_empty() => {
            return Err(Problem::bad_request(
                "Say why: it stands on this page, and in what that person may see of their own.",
            ));
        }
        "no" => false,
        "yes" => true,
        _ => return Err(Problem::bad_request("`counts` must be yes or no.")),
    };
    to_the_end(async move {
        let ctx = sprint.ctx();
        match counts {
            true => ctx.store.include(&ctx.sprint, &who, now()).await?,
            false => ctx.store.exclude(&ctx.sprint, &who, &reason, now()).await?,
        };
        sprint.forget_figures().await;
        Ok(())
    })
    .await?;
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
