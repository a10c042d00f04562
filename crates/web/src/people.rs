//! Who takes part in a sprint, and how far it is: for everybody.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use diptych_stages::annotate;

use crate::frame::{Frame, page};
use crate::pages::{not_found, percent, thousands};
use crate::problem::Problem;
use crate::session::Visitor;
use crate::state::App;

struct CategoryRow {
    category: String,
    pairs: i64,
    responses: i64,
    wanted: i64,
    percent: i64,
}

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    slug: String,
    sprint: String,
    percent: i64,
    /// Whether nobody will be asked any more.
    over: bool,
    pace: String,
    categories: Vec<CategoryRow>,
    people: Vec<PersonRow>,
}

struct PersonRow {
    who: String,
    named: bool,
    simulated: bool,
    responses: String,
    today: String,
    streak: i64,
}

/// Who takes part, and how far the sprint is.
pub(crate) async fn show(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let Ok(sprint) = app.sprint(&slug) else { return Ok(not_found(&app, person.as_ref()).await) };
    let (ctx, now) = (sprint.ctx(), diptych_stages::ctx::now());
    let progress = app.store().progress(&ctx.sprint).await?;
    let a_day = app.store().responses_since(&ctx.sprint, now - 24 * 3600 * 1000).await?;
    let categories = app.store().progress_by_category(&ctx.sprint).await?;
    let categories = categories
        .into_iter()
        .map(|(category, pairs, responses, wanted)| CategoryRow {
            percent: percent(responses, wanted),
            category: if category.is_empty() { "No category".to_owned() } else { category },
            pairs,
            responses,
            wanted,
        })
        .collect();
    let rounded = |number: i64| {
        if number < 10 { "under 10".to_owned() } else { thousands(annotate::rounded(number) as u64) }
    };
    let people = app.store().standings(&ctx.sprint, 100, now).await?.into_iter().map(|standing| PersonRow {
        named: standing.name.is_some(),
        who: standing.name.unwrap_or(standing.pseudonym),
        simulated: standing.simulated,
        responses: rounded(standing.responses),
        today: if standing.lately == 0 { "–".to_owned() } else { rounded(standing.lately) },
        streak: standing.streak,
    });
    let people = people.collect();
    let title = sprint.config().sprint.title.clone();
    let frame = Frame::new(format!("People · {title}"), person.as_ref(), "")
        .for_moderators(&app, person.as_ref())
        .await?;
    let pace = annotate::pace(progress.submitted, progress.wanted, a_day);
    let percent = percent(progress.submitted, progress.wanted);
    Ok(page(&People {
        frame,
        slug,
        sprint: title,
        percent,
        over: sprint.state().is_over(),
        pace,
        categories,
        people,
    })?
    .into_response())
}
