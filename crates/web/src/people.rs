//! Who takes part in a sprint, and how far it is: for everybody.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use diptych_core::SprintState;
use diptych_stages::annotate;
use diptych_stages::board::{Place, Who};
use diptych_stages::ctx::now;
use diptych_stages::results::notes;
use diptych_store::Millis;

use crate::frame::{Frame, page};
use crate::pages::{not_found, percent};
use crate::problem::{Path, Problem};
use crate::session::Visitor;
use crate::state::App;
use crate::texts::{Reader, Texts};

struct CategoryRow {
    category: String,
    pairs: String,
    answers: String,
    percent: i64,
}

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    slug: String,
    sprint: String,
    percent: i64,
    /// What everybody should know of how it was screened.
    notes: String,
    /// Whether nobody will be asked any more.
    over: bool,
    pace: String,
    categories: Vec<CategoryRow>,
    people: Vec<PersonRow>,
    /// Those who have answered today, by that.
    today: Vec<PersonRow>,
    /// How many people have answered beside those.
    more: i64,
}

struct PersonRow {
    who: String,
    named: bool,
    simulated: bool,
    responses: String,
    today: String,
    streak: i64,
}

impl PersonRow {
    fn of(place: &Place, t: &Texts) -> Self {
        let (named, who) = match place.who.clone() {
            Who::Name(name) => (true, name),
            Who::Alias(alias) => (false, alias),
        };
        let least = |count: Option<i64>| match count {
            None => "–".to_owned(),
            Some(0) => t.say("some").to_owned(),
            Some(count) => t.number(count),
        };
        let (responses, today) = (least(place.responses), least(place.today));
        Self { who, named, simulated: place.simulated, responses, today, streak: place.streak }
    }
}

/// Who takes part, and how far the sprint is.
pub(crate) async fn show(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
    reader: Reader,
) -> Result<Response, Problem> {
    let Ok(sprint) = app.sprint(&slug) else { return Ok(not_found(&app, person.as_ref(), &reader).await) };
    let answers = app.pulse().changes();
    let (board, told, t) = (sprint.board(answers).await?, sprint.told(answers).await?, reader.t);
    let progress = told.progress;
    let categories = told
        .categories
        .iter()
        .map(|(category, pairs, responses, wanted)| CategoryRow {
            percent: percent(*responses, *wanted),
            category: if category.is_empty() { t.say("no_category").to_owned() } else { category.clone() },
            pairs: t.number(*pairs),
            answers: part_of(t, *responses, *wanted),
        })
        .collect();
    let rows = |places: &[Place]| places.iter().map(|place| PersonRow::of(place, t)).collect();
    let (people, today) = (rows(&board.people), rows(&board.today));
    let title = sprint.config().sprint.title.clone();
    let frame = Frame::new(format!("{} · {title}", t.say("people")), person.as_ref(), "")
        .for_reader(&reader)
        .of_sprint(&sprint.config())
        .for_moderators(&app, person.as_ref())
        .await?;
    // Nobody answers while it is paused.
    let begun = told.first.filter(|_| sprint.state() == SprintState::Open).map(|first| now() - first);
    let more = sprint.counts().await?.people().saturating_sub(board.people.len()) as i64;
    let mut pace = pace(t, progress.submitted, progress.wanted, told.last_day, begun);
    if sprint.tells_late() && progress.submitted < progress.wanted {
        pace = format!("{pace} {}", t.say("pace_late"));
    }
    let percent = percent(progress.submitted, progress.wanted);
    Ok(page(&People {
        frame,
        slug,
        sprint: title,
        percent,
        notes: t.notes(&notes(&sprint.config())),
        over: sprint.state().is_over(),
        pace,
        categories,
        people,
        today,
        more,
    })?
    .into_response())
}

fn part_of(t: &Texts, part: i64, whole: i64) -> String {
    let (part, whole) = (t.number(part), t.number(whole));
    t.fill("of", [("part", part.as_str()), ("whole", &whole)])
}

/// How far a sprint is and when it will be done at the pace of the last day, in a sentence or two; with no forecast
/// where it is not asked since when it has been answered.
fn pace(t: &Texts, given: i64, wanted: i64, last_day: i64, begun: Option<Millis>) -> String {
    if wanted == 0 {
        return t.say("pace_none").to_owned();
    }
    if given >= wanted {
        return t.count("pace_all", wanted);
    }
    // Each figure is kept for a while, and not for the same one.
    let last_day = last_day.min(given);
    let [given_text, wanted_text, lately] = [given, wanted, last_day].map(|number| t.number(number));
    let blanks = [("given", given_text.as_str()), ("wanted", &wanted_text), ("lately", &lately)];
    let said = t.fill("pace_given", blanks);
    match begun.and_then(|begun| annotate::days_left(given, wanted, last_day, begun)) {
        None => said,
        Some(1) => format!("{said} {}", t.say("pace_within_a_day")),
        Some(days) => format!("{said} {}", t.count("pace_days", days)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::languages;

    #[test]
    fn the_pace_is_said_in_words() {
        const DAY: Millis = 24 * 3600 * 1000;
        let [english, german] = [&languages()[0], &languages()[1]];
        assert!(pace(english, 10, 30, 7, None).ends_with("in the last 24 hours."), "while it is paused");
        assert_eq!(pace(english, 0, 0, 0, Some(DAY)), "There are no pairs yet.");
        assert!(pace(english, 0, 30, 0, Some(DAY)).ends_with("in the last 24 hours."));
        assert!(pace(english, 10, 30, 7, Some(DAY)).ends_with("done in 3 days."));
        assert!(pace(english, 25, 30, 10, Some(DAY)).ends_with("within a day."));
        assert!(pace(english, 7, 30, 9, Some(DAY)).contains("7 of 30 answers are given, 7 of them"));
        assert!(pace(english, 3000, 3000, 10, Some(DAY)).starts_with("All 3,000"));
        assert!(pace(german, 10, 3000, 10, Some(DAY)).starts_with("10 von 3.000 Antworten"));
    }
}
