//! The page of results, also as a file by itself: a template and the plain data that it shows.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use diptych_core::config::{Overlap, SprintConfig};
use diptych_stages::results::Report;

use crate::api::may_see_results;
use crate::frame::{Frame, message, page};
use crate::pages::{CSS, not_found, thousands};
use crate::problem::Problem;
use crate::session::Visitor;
use crate::state::App;
use crate::texts::Reader;

/// One category's line in the chart: where the first model stands between 0 and 100 %.
struct ChartRow {
    category: String,
    /// Of the decided answers, in percent; none where nothing is decided.
    share: Option<f64>,
    /// Where it is drawn, in percent of the chart's width; in the middle where nothing is decided.
    place: f64,
    reference: String,
    responses: String,
    verdict: String,
    /// `a`, `b`, `tie` or `open`.
    mark: &'static str,
}

struct ModelRow {
    name: String,
    full_name: String,
    mark: &'static str,
    wins: String,
    reference: String,
    decided: String,
}

#[derive(Template)]
#[template(path = "results.html")]
struct Results {
    frame: Frame,
    slug: String,
    sprint: String,
    finding: String,
    lede: String,
    pairs: String,
    responses: String,
    both_good: String,
    both_bad: String,
    overlap: String,
    first: String,
    second: String,
    has_chart: bool,
    rows: Vec<ChartRow>,
    models: Vec<ModelRow>,
    agreement: Vec<(&'static str, Option<f64>, String, &'static str)>,
    side: Option<String>,
    notes: Vec<String>,
    complete: String,
}

pub(crate) async fn results(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
    reader: Reader,
) -> Result<Response, Problem> {
    let Ok(sprint) = app.sprint(&slug) else { return Ok(not_found(&app, person.as_ref(), &reader).await) };
    if let Err(problem) = may_see_results(&app, &sprint, person.as_ref()).await {
        let says = ["Not open yet", &problem.detail];
        let english = Reader::of_english();
        let page =
            message(&app, person.as_ref(), &english, says, [&format!("/s/{slug}"), "Compare pictures"])
                .await?;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
        return Ok((status, page).into_response());
    }
    let report = sprint.report().await?;
    let config = sprint.config();
    let title = config.sprint.title.clone();
    let frame = Frame::new(format!("Results · {title}"), person.as_ref(), "results").of_sprint(&config);
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    Ok(page(&shown(frame, slug, title, &named(&config), config.annotate.overlap, &report))?.into_response())
}

/// The results as one file that needs no server.
///
/// # Errors
/// Where the page cannot be rendered.
pub fn results_page(config: &SprintConfig, report: &Report) -> Result<String, askama::Error> {
    let title = config.sprint.title.clone();
    let mut frame = Frame::new(format!("Results · {title}"), None, "results");
    frame.inline = Some(CSS);
    shown(frame, config.sprint.slug.clone(), title, &named(config), config.annotate.overlap, report).render()
}

fn named(config: &SprintConfig) -> Vec<(String, String)> {
    config.models.iter().map(|model| (model.key.clone(), model.name.clone())).collect()
}

fn shown(
    frame: Frame,
    slug: String,
    sprint: String,
    models: &[(String, String)],
    overlap: Overlap,
    report: &Report,
) -> Results {
    let first = models.first().map(|model| model.0.clone()).unwrap_or_default();
    let second = models.get(1).map(|model| model.0.clone()).unwrap_or_default();
    let better = |model: &str| format!("{model} better");
    let count =
        |verdict: &str| report.categories.iter().filter(|category| category.verdict == verdict).count();
    let (leads, follows, ties) = (count(&better(&first)), count(&better(&second)), count("tie"));
    let open = report.categories.len() - leads - follows - ties;
    // Images that were imported have prompts of no category: there is no chart to draw.
    let has_chart = models.len() == 2 && !report.categories.is_empty();
    let finding = if report.responses == 0 {
        "No answers yet".to_owned()
    } else if !has_chart {
        format!("{} models compared", models.len())
    } else if leads + follows == 0 {
        "No category is decided yet".to_owned()
    } else {
        format!(
            "{first} is ahead in {leads} of {} categories, {second} in {follows}",
            report.categories.len()
        )
    };
    let lede = if report.responses == 0 {
        "Results will stand here as soon as somebody has compared a pair.".to_owned()
    } else if report.categories.is_empty() {
        "The prompts have no categories.".to_owned()
    } else {
        let ties = match ties {
            0 => "None is a tie.".to_owned(),
            1 => "One is a tie.".to_owned(),
            n => format!("{n} are ties."),
        };
        let open = match open {
            0 => String::new(),
            1 => " In one, the answers so far do not decide.".to_owned(),
            n => format!(" In {n}, the answers so far do not decide."),
        };
        ties + &open
    };
    let share = |answer: &str| {
        let given = report.answers.get(answer).copied().unwrap_or(0);
        shown_percent((report.responses > 0).then(|| given as f64 / report.responses as f64))
    };
    let mut rows: Vec<ChartRow> = report
        .categories
        .iter()
        .map(|category| {
            let model = category.models.iter().find(|model| model.model == first);
            let ratio = model.map(|model| model.win_ratio);
            let share = ratio.and_then(|ratio| ratio.decided).map(|figure| figure.value * 100.0);
            ChartRow {
                category: category.category.clone(),
                share,
                place: share.unwrap_or(50.0),
                reference: shown_percent(ratio.and_then(|ratio| ratio.reference).map(|figure| figure.value)),
                responses: thousands(category.responses),
                mark: match category.verdict.as_str() {
                    "tie" => "tie",
                    verdict if verdict == better(&first) => "a",
                    verdict if verdict == better(&second) => "b",
                    _ => "open",
                },
                // A model's key is written as it is; words begin with a capital.
                verdict: match category.verdict.as_str() {
                    "tie" => "Tie".to_owned(),
                    "not decided" => "Not decided".to_owned(),
                    better => better.to_owned(),
                },
            }
        })
        .collect();
    rows.sort_by(|a, b| b.share.unwrap_or(50.0).total_cmp(&a.share.unwrap_or(50.0)));
    let agreement = &report.agreement;
    Results {
        frame,
        slug,
        sprint,
        finding,
        lede,
        pairs: thousands(report.pairs),
        responses: thousands(report.responses),
        both_good: share("both_good"),
        both_bad: share("both_bad"),
        overlap: overlap.to_string(),
        has_chart,
        rows,
        models: report
            .models
            .iter()
            .map(|model| ModelRow {
                name: model.model.clone(),
                full_name: models
                    .iter()
                    .find(|known| known.0 == model.model)
                    .map_or_else(String::new, |m| m.1.clone()),
                mark: if model.model == first { "a" } else { "b" },
                wins: thousands(model.wins),
                reference: shown_percent(model.win_ratio.reference.map(|figure| figure.value)),
                decided: shown_percent(model.win_ratio.decided.map(|figure| figure.value)),
            })
            .collect(),
        first,
        second,
        agreement: [
            ("Unanimous", agreement.unanimous, "Everybody gave the same answer."),
            ("Majority", agreement.majority, "Over half gave the same answer."),
            ("Split", agreement.split, "No answer has more than half."),
        ]
        .map(|(name, figure, says)| {
            let value = figure.map(|figure| figure.value);
            (name, value.map(|share| share * 100.0), shown_percent(value), says)
        })
        .into(),
        side: report.side_bias.map(|figure| shown_percent(Some(figure.value))),
        notes: report.notes.clone(),
        complete: thousands(report.completed),
    }
}

fn shown_percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0}\u{a0}%", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_for_people() {
        assert_eq!(shown_percent(Some(0.625)), "62\u{a0}%");
        assert_eq!(shown_percent(None), "–");
    }
}
