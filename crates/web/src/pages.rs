//! The pages: home, review, classifiers. Each is a template and the plain data that it shows.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_core::SprintState;
use diptych_core::config::SprintConfig;
use diptych_stages::results::notes;
use diptych_stages::safety::{Change, Note, Safety, Share, THRESHOLD_OF};
use diptych_store::people::Person;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::api::{may_see_results, visible};
use crate::frame::{Frame, message, page};
use crate::hosted::HostedSprint;
use crate::problem::{Form, Path, Problem, Query, to_the_end};
use crate::review::{Choices, LogLine, Proposed, ThresholdBody, organizer, reviewer, sees_models};
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::texts::{Reader, Texts};

pub(crate) const CSS: &str = include_str!("../assets/design.css");
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";

macro_rules! assets {
    ($($name:literal: $kind:expr, $file:literal;)+) => {
        /// What pages load: name, kind, and what it is.
        const ASSETS: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("../assets/", $file)))),+];
    };
}

assets! {
    "design.css": "text/css; charset=utf-8", "design.css";
    "annotate.js": JS, "annotate.js";
    "outbox.js": JS, "outbox.js";
    "practice.js": JS, "practice.js";
    "review.js": JS, "review.js";
    "organize.js": JS, "organize.js";
    "page.js": JS, "page.js";
    "practice-1a.svg": SVG, "practice/1a.svg";
    "practice-1b.svg": SVG, "practice/1b.svg";
    "practice-2a.svg": SVG, "practice/2a.svg";
    "practice-2b.svg": SVG, "practice/2b.svg";
    "practice-3a.svg": SVG, "practice/3a.svg";
    "practice-3b.svg": SVG, "practice/3b.svg";
}
const LOGO: &str = include_str!("../assets/logo.svg");

/// Changes with the assets, so that browsers may keep them for good.
pub(crate) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let mut digest = Sha256::new();
        ASSETS.iter().for_each(|(_, _, text)| digest.update(text));
        hex::encode(&digest.finalize()[..6])
    })
}

pub(crate) async fn asset(Path((of, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = found.ok_or_else(|| Problem::not_found("There is no such file."))?;
    // A page of another version of this program, from a server beside this one, is not to keep ours for its own.
    let kept = if of == version() { "public, max-age=31536000, immutable" } else { "no-store" };
    Ok(([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, kept)], *text).into_response())
}

pub(crate) async fn favicon() -> Response {
    let headers = [(header::CONTENT_TYPE, SVG), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, LOGO).into_response()
}

struct SprintCard {
    slug: String,
    title: String,
    question: String,
    pairs: i64,
    percent: i64,
    answered: String,
    notes: String,
    results: bool,
    paused: bool,
    /// Whether a picture of its own stands for it.
    has_cover: bool,
    /// The practice pair that stands for it otherwise: no open pair does. None where images are not screened:
    /// unscreened means unseen, also of what it might look like.
    practice: Option<usize>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    /// What they are called, and the sprints that ask people now, those that will, and those that are done.
    shelves: [(&'static str, Vec<SprintCard>); 3],
    proposes: bool,
}

pub(crate) async fn home(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
) -> Result<Html<String>, Problem> {
    let t = reader.t;
    let (mut open, mut coming, mut done) = (Vec::new(), Vec::new(), Vec::new());
    let mut covers = (1..=3).cycle();
    for (slug, sprint) in visible(&app, person.as_ref()).await? {
        let progress = sprint.public_progress(app.pulse().changes()).await?;
        let complete = progress.pairs > 0 && progress.completed == progress.pairs;
        let shelf = match sprint.state() {
            SprintState::Closed | SprintState::Archived => &mut done,
            _ if complete => &mut done,
            _ if progress.pairs == 0 => &mut coming,
            _ => &mut open,
        };
        let percent = percent(progress.submitted, progress.wanted);
        let [share, count] = [percent, progress.submitted].map(|number| t.number(number));
        shelf.push(SprintCard {
            title: sprint.config().sprint.title.clone(),
            question: t.question(&sprint.config().sprint),
            pairs: progress.pairs,
            percent,
            answered: t.fill("home_answered", [("percent", share.as_str()), ("count", &count)]),
            notes: t.notes(&notes(&sprint.config())),
            results: may_see_results(&app, &sprint, person.as_ref()).await?,
            paused: sprint.state() == SprintState::Paused,
            has_cover: sprint.cover().await.is_some(),
            practice: screens_images(&sprint.config()).then_some(covers.next().unwrap_or(1)),
            slug,
        });
    }
    let frame = Frame::new("Diptych", person.as_ref(), "sprints").for_reader(&reader);
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    let shelves = [("shelf_open", open), ("shelf_coming", coming), ("shelf_done", done)];
    page(&Home { frame, shelves, proposes: app.folder().is_some() })
}

fn screens_images(config: &SprintConfig) -> bool {
    !config.screen.image.is_empty() || config.review.every_image > 0
}

/// Rounded down, so that 100 is said only when it is.
pub(crate) fn percent(part: i64, whole: i64) -> i64 {
    if whole > 0 { part * 100 / whole } else { 0 }
}

#[derive(Template)]
#[template(path = "review.html")]
struct Review {
    frame: Frame,
    slug: String,
    sprint: String,
    choices: Choices,
    /// What the keys do, as HTML.
    keys: String,
}

/// The sprint, where this person may see this page of it: `organize` as an organizer, the others as a moderator.
/// Otherwise the page that says why not.
pub(crate) async fn entrusted(
    app: &App,
    reader: &Reader,
    person: Option<&Person>,
    slug: &str,
    here: &str,
) -> Result<Result<Arc<HostedSprint>, Response>, Problem> {
    let t = reader.t;
    let Ok(sprint) = app.sprint(slug) else { return Ok(Err(not_found(app, person, reader).await)) };
    let Some(person) = person else {
        return Ok(Err(Redirect::to(&format!("/enter?next=/s/{slug}/{here}")).into_response()));
    };
    let (may, says) = match here {
        "organize" => (organizer(app, &sprint, person).await, ["for_organizers", "for_organizers_says"]),
        _ => (reviewer(app, &sprint, person).await, ["for_moderators", "for_moderators_says"]),
    };
    match may {
        Ok(_) => Ok(Ok(sprint)),
        Err(problem) if problem.status == StatusCode::FORBIDDEN => {
            let back = [&format!("/s/{slug}"), t.say("results_compare")];
            let page = message(app, Some(person), reader, says.map(|name| t.say(name)), back).await?;
            Ok(Err((StatusCode::FORBIDDEN, page).into_response()))
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn review(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let t = reader.t;
    let sprint = match entrusted(&app, &reader, person.as_ref(), &slug, "review").await? {
        Ok(sprint) => sprint,
        Err(response) => return Ok(response),
    };
    let title = sprint.config().sprint.title.clone();
    let frame = Frame::new(format!("{} · {title}", t.say("review")), person.as_ref(), "review");
    let frame = frame.for_reader(&reader).for_moderators(&app, person.as_ref()).await?;
    let sees_models = match &person {
        Some(person) => sees_models(&sprint, &reviewer(&app, &sprint, person).await?).await?,
        None => false,
    };
    let keys = ["Shift", "X", "Enter", "E", "A", "R", "Z"];
    let keys = keys.map(|key| (key.to_lowercase(), format!("<kbd>{key}</kbd>")));
    let keys = t.fill("review_keys", keys.each_ref().map(|(name, key)| (name.as_str(), key.as_str())));
    let choices = Choices::of(&sprint, sees_models, t);
    Ok(page(&Review { frame, slug, sprint: title, choices, keys })?.into_response())
}

/// A line of the log, as the page shows it.
struct ShownLine {
    at: String,
    who: String,
    what: &'static str,
    content: String,
    is_image: bool,
    why: String,
}

/// So many characters of a text say which one it is.
const BEGINNING: usize = 60;

fn beginning(text: &str) -> String {
    let begins: String = text.chars().take(BEGINNING).collect();
    if begins.len() < text.len() { format!("{begins}…") } else { begins }
}

impl ShownLine {
    fn of(line: LogLine, t: &'static Texts) -> Self {
        let reason = t.reason(&line.reason).to_owned();
        Self {
            at: moment(line.at),
            what: match line.verdict {
                "approve" => t.say("log_approved"),
                "reject" => t.say("log_rejected"),
                "undo" => t.say("log_took_back"),
                _ => t.say("log_set"),
            },
            is_image: line.kind == "image",
            why: [reason, line.note]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(": "),
            who: match line.organizer {
                true => t.fill("log_organizer", [("who", t.name(&line.who))]),
                false => t.name(&line.who).to_owned(),
            },
            content: match line.content.strip_prefix(THRESHOLD_OF).filter(|_| line.kind == "setting") {
                Some(classifier) => t.fill("log_threshold", [("classifier", classifier)]),
                None if line.kind == "text" => beginning(&line.content),
                None => line.content,
            },
        }
    }
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    slug: String,
    lines: Vec<ShownLine>,
    /// How many there are of these, and in all.
    shown: i64,
    total: i64,
    /// Of which item, where it is of one.
    of: String,
}

/// Which item's log is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LogOf {
    content: String,
}

/// Who decided what and when, the newest first.
pub(crate) async fn review_log(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
    Path(slug): Path<String>,
    Query(of): Query<LogOf>,
) -> Result<Response, Problem> {
    /// The most lines of a page; the API gives all.
    const MOST: usize = 1000;
    let t = reader.t;
    let sprint = match entrusted(&app, &reader, person.as_ref(), &slug, "review/log").await? {
        Ok(sprint) => sprint,
        Err(response) => return Ok(response),
    };
    let mut all = crate::review::lines(&app, &sprint).await?;
    all.retain(|line| of.content.is_empty() || line.content == of.content);
    let total = all.len() as i64;
    all.truncate(MOST);
    let shown = all.len() as i64;
    // A text is known by its hash, which tells nobody what it says.
    if all.iter().any(|line| line.kind == "text") {
        let items = diptych_stages::review::items(&sprint.ctx(), None).await?;
        let texts = items.into_iter().filter(|item| item.kind == "text");
        let texts: HashMap<String, String> = texts.map(|item| (item.content, item.text)).collect();
        for line in all.iter_mut().filter(|line| line.kind == "text") {
            if let Some(text) = texts.get(&line.content) {
                line.content.clone_from(text);
            }
        }
    }
    let lines = all.into_iter().map(|line| ShownLine::of(line, t)).collect();
    let title = format!("{} · {}", t.say("log"), sprint.config().sprint.title);
    let frame = Frame::new(title, person.as_ref(), "review").for_reader(&reader);
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    Ok(page(&LogPage { frame, slug, lines, shown, total, of: of.content })?.into_response())
}

/// When the day of this moment began, UTC.
pub(crate) fn midnight(at: i64) -> i64 {
    at - at.rem_euclid(86_400_000)
}

/// A moment of UTC as people write it: `2026-11-25 21:04`.
pub(crate) fn moment(at: i64) -> String {
    let (days, minutes) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000) / 60_000);
    // Howard Hinnant's days_from_civil, backwards: <https://howardhinnant.github.io/date_algorithms.html>.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

#[derive(Template)]
#[template(path = "safety.html")]
struct SafetyPage {
    frame: Frame,
    slug: String,
    report: Safety,
    reviewed: String,
    notes: Vec<String>,
    proposed: (String, String),
    changes: Option<Vec<Change>>,
    /// How many there are, in words.
    changed: String,
    /// Whether this person may apply it.
    may_apply: bool,
}

impl SafetyPage {
    fn shown(&self, share: &Option<Share>) -> String {
        self.frame.t.share(share.map(|share| (share.value, (share.low, share.high))))
    }
}

pub(crate) async fn safety(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
    Path(slug): Path<String>,
    Query(proposed): Query<Proposed>,
) -> Result<Response, Problem> {
    let t = reader.t;
    let sprint = match entrusted(&app, &reader, person.as_ref(), &slug, "safety").await? {
        Ok(sprint) => sprint,
        Err(response) => return Ok(response),
    };
    let report = diptych_stages::safety::report(&sprint.ctx()).await?;
    let changes = match (&proposed.classifier, proposed.threshold) {
        (Some(classifier), Some(threshold)) => {
            Some(diptych_stages::safety::changes(&sprint.ctx(), classifier, threshold).await?)
        }
        _ => None,
    };
    let title = sprint.config().sprint.title.clone();
    let frame = Frame::new(format!("{} · {title}", t.say("safety_classifiers")), person.as_ref(), "review");
    let frame = frame.for_reader(&reader).for_moderators(&app, person.as_ref()).await?;
    let threshold = proposed.threshold.map_or_else(|| "0.5".to_owned(), |threshold| threshold.to_string());
    let proposed = (proposed.classifier.unwrap_or_default(), threshold);
    let may_apply = match &person {
        Some(person) => reviewer(&app, &sprint, person).await?.organizer,
        None => false,
    };
    let [reviewed, images] = report.images_reviewed.map(|number| t.number(number as i64));
    let reviewed = t.fill("safety_reviewed", [("reviewed", reviewed.as_str()), ("images", &images)]);
    let notes = report.notes.iter().map(|note| match note {
        Note::NotEveryImage => t.say("safety_not_every_image").to_owned(),
        Note::Missing { classifier, why } => {
            t.fill("safety_missing", [("classifier", classifier.as_str()), ("why", why)])
        }
    });
    let notes = notes.collect();
    let changed = t.count("safety_changes", changes.as_ref().map_or(0, Vec::len) as i64);
    Ok(page(&SafetyPage { frame, slug, report, reviewed, notes, proposed, changes, changed, may_apply })?
        .into_response())
}

/// The page's form for organizers: another threshold holds from now on.
pub(crate) async fn set_threshold(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    form: Result<Form<ThresholdBody>, Problem>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    let organizer = organizer(&app, &sprint, &person).await?;
    let Form(ThresholdBody { classifier, threshold }) = form?;
    to_the_end(async move { sprint.set_threshold(&organizer, &classifier, threshold).await }).await?;
    Ok(Redirect::to(&format!("/s/{slug}/safety")))
}

pub(crate) async fn not_found(app: &App, person: Option<&Person>, reader: &Reader) -> Response {
    let t = reader.t;
    let says = [t.say("nothing_here"), t.say("nothing_here_says")];
    match message(app, person, reader, says, ["/", t.say("all_sprints")]).await {
        Ok(html) => (StatusCode::NOT_FOUND, html).into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(0, 0), 0);
    }

    #[test]
    fn moments_are_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00");
        assert_eq!(moment(1_795_640_699_999), "2026-11-25 21:04");
        assert_eq!(moment(-1), "1969-12-31 23:59");
    }
}
