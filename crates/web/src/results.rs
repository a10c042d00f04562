//! The page of results, also as a file by itself: a template and the plain data that it shows.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use diptych_core::config::SprintConfig;
use diptych_stages::results::{CategoryReport, Figure, ModelReport, Report, notes};
use diptych_store::people::Person;

use crate::api::results_for;
use crate::frame::{Frame, message, page};
use crate::pages::{CSS, not_found};
use crate::problem::{Path, Problem};
use crate::session::Visitor;
use crate::state::App;
use crate::texts::{Reader, Texts, languages};

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

/// How often people agree in one way.
struct AgreementRow {
    name: &'static str,
    /// In percent.
    place: Option<f64>,
    share: String,
    says: &'static str,
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
    agreement: Vec<AgreementRow>,
    side: String,
    notes: String,
    complete: String,
}

pub(crate) async fn results(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(slug): Path<String>,
    reader: Reader,
) -> Result<Response, Problem> {
    let Ok(sprint) = app.sprint(&slug) else { return Ok(not_found(&app, person.as_ref(), &reader).await) };
    let t = reader.t;
    let report = match results_for(&app, &sprint, person.as_ref()).await {
        Err(problem) if problem.status == StatusCode::FORBIDDEN => {
            let says = [t.say("results_not_open"), t.say("results_not_open_says")];
            let link = [&format!("/s/{slug}"), t.say("results_compare")];
            let page = message(&app, person.as_ref(), &reader, says, link).await?;
            return Ok((StatusCode::FORBIDDEN, page).into_response());
        }
        report => report?,
    };
    let config = sprint.config();
    let frame = titled(t, &config, person.as_ref()).for_reader(&reader).of_sprint(&config);
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    Ok(page(&shown(frame, &config, &report))?.into_response())
}

/// The results as one file that needs no server.
///
/// # Errors
/// Where the page cannot be rendered.
pub fn results_page(config: &SprintConfig, report: &Report) -> Result<String, askama::Error> {
    let mut frame = titled(&languages()[0], config, None);
    frame.inline = Some(CSS);
    shown(frame, config, report).render()
}

fn titled(t: &Texts, config: &SprintConfig, person: Option<&Person>) -> Frame {
    Frame::new(t.fill("results_of", [("title", config.sprint.title.as_str())]), person, "results")
}

/// Whose images are preferred in a category.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    First,
    Second,
    Tie,
    Open,
}

impl Verdict {
    fn of(category: &CategoryReport, first: &str, second: &str) -> Self {
        match category.verdict.strip_suffix(" better") {
            Some(model) if model == first => Self::First,
            Some(model) if model == second => Self::Second,
            _ if category.verdict == "tie" => Self::Tie,
            _ => Self::Open,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::First => "a",
            Self::Second => "b",
            Self::Tie => "tie",
            Self::Open => "open",
        }
    }
}

fn shown(frame: Frame, config: &SprintConfig, report: &Report) -> Results {
    let t = frame.t;
    let key = |place: usize| config.models.get(place).map_or("", |model| model.key.as_str());
    let (first, second) = (key(0), key(1));
    let number = |number: u64| t.number(i64::try_from(number).unwrap_or(i64::MAX));
    // Images that were imported have prompts of no category: there is no chart to draw.
    let has_chart = config.models.len() == 2 && !report.categories.is_empty();
    let (finding, lede) = found(t, config, [first, second], report);
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
            let verdict = Verdict::of(category, first, second);
            let better = |model| t.fill("results_better", [("model", model)]);
            ChartRow {
                category: category.category.clone(),
                share,
                place: share.unwrap_or(50.0),
                reference: shown_percent(ratio.and_then(|ratio| ratio.reference).map(|figure| figure.value)),
                responses: number(category.responses),
                mark: verdict.mark(),
                verdict: match verdict {
                    Verdict::First => better(first),
                    Verdict::Second => better(second),
                    Verdict::Tie => t.say("results_tie").to_owned(),
                    Verdict::Open => t.say("results_not_decided").to_owned(),
                },
            }
        })
        .collect();
    rows.sort_by(|a, b| b.share.unwrap_or(50.0).total_cmp(&a.share.unwrap_or(50.0)));
    let full_name = |key: &str| {
        config.models.iter().find(|model| model.key == key).map_or_else(String::new, |m| m.name.clone())
    };
    let model = |model: &ModelReport| ModelRow {
        name: model.model.clone(),
        full_name: full_name(&model.model),
        mark: if model.model == first { "a" } else { "b" },
        wins: number(model.wins),
        reference: shown_percent(model.win_ratio.reference.map(|figure| figure.value)),
        decided: shown_percent(model.win_ratio.decided.map(|figure| figure.value)),
    };
    let agreement = |name, figure: Option<Figure>, says| {
        let value = figure.map(|figure| figure.value);
        let place = value.map(|share| share * 100.0);
        AgreementRow { name: t.say(name), place, share: shown_percent(value), says: t.say(says) }
    };
    Results {
        slug: config.sprint.slug.clone(),
        sprint: config.sprint.title.clone(),
        finding,
        lede,
        pairs: number(report.pairs),
        responses: number(report.responses),
        both_good: share("both_good"),
        both_bad: share("both_bad"),
        overlap: t.overlap(config.annotate.overlap),
        has_chart,
        rows,
        models: report.models.iter().map(model).collect(),
        first: first.to_owned(),
        second: second.to_owned(),
        agreement: vec![
            agreement("results_unanimous", report.agreement.unanimous, "results_unanimous_says"),
            agreement("results_majority", report.agreement.majority, "results_majority_says"),
            agreement("results_split", report.agreement.split, "results_split_says"),
        ],
        side: report.side_bias.map_or_else(
            || t.say("results_sides_none").to_owned(),
            |figure| t.fill("results_sides_share", [("share", shown_percent(Some(figure.value)).as_str())]),
        ),
        notes: t.notes(&notes(config)),
        complete: number(report.completed),
        frame,
    }
}

/// What the results say, in a line and in a few sentences.
fn found(t: &Texts, config: &SprintConfig, [first, second]: [&str; 2], report: &Report) -> (String, String) {
    let said = |name: &str| t.say(name).to_owned();
    let count = |name, number: usize| t.count(name, i64::try_from(number).unwrap_or(i64::MAX));
    if report.responses == 0 {
        return (said("results_no_answers"), said("results_no_answers_says"));
    }
    if report.categories.is_empty() {
        return (count("results_compared", config.models.len()), said("results_no_categories"));
    }
    let of = |wanted| {
        let verdicts = report.categories.iter().map(|category| Verdict::of(category, first, second));
        verdicts.filter(|verdict| *verdict == wanted).count()
    };
    let (leads, follows) = (of(Verdict::First), of(Verdict::Second));
    let finding = if config.models.len() != 2 {
        count("results_compared", config.models.len())
    } else if leads + follows == 0 {
        said("results_undecided")
    } else {
        let [leads, follows, all] = [leads, follows, report.categories.len()].map(|n| n.to_string());
        let blanks =
            [("first", first), ("second", second), ("leads", &leads), ("follows", &follows), ("all", &all)];
        t.fill("results_ahead", blanks)
    };
    let ties = match of(Verdict::Tie) {
        0 => said("results_ties_0"),
        1 => said("results_ties_1"),
        ties => count("results_ties", ties),
    };
    let open = match of(Verdict::Open) {
        0 => return (finding, ties),
        1 => said("results_open_1"),
        open => count("results_open", open),
    };
    (finding, format!("{ties} {open}"))
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
