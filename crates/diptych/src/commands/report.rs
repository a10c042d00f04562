//! `diptych report`: agreement and win ratios.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use diptych_stages::results::{self, Figure, ModelReport, Report};

use super::{print, print_json};
use crate::{place, progress, table};

/// Prints the report.
pub async fn run(folder: &Path, as_json: bool, html: Option<&Path>) -> Result<()> {
    let ctx = place::open(folder, progress::choose(true)).await?;
    let report = results::report(&ctx).await?;
    if let Some(path) = html {
        let page = diptych_web::results_page(&ctx.config, &report)?;
        std::fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if as_json { print_json(&report) } else { print(&for_people(&report)) }
}

fn percent(figure: Option<Figure>) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{:.1}%", figure.value * 100.0))
}

/// The report as text.
pub fn for_people(report: &Report) -> String {
    let mut text = String::new();
    let state = if report.provisional { " (provisional)" } else { "" };
    let _ = writeln!(
        text,
        "{}{state}: {} responses to {} pairs, {} of them complete",
        report.sprint, report.responses, report.pairs, report.completed
    );
    for note in &report.notes {
        let _ = writeln!(text, "{note}");
    }
    let answers: Vec<String> =
        report.answers.iter().map(|(answer, count)| format!("{answer} {count}")).collect();
    let _ = writeln!(text, "\nanswers    {}", answers.join(", "));
    let agreement = &report.agreement;
    let _ = writeln!(
        text,
        "agreement  unanimous {}, majority {}, split {}",
        percent(agreement.unanimous),
        percent(agreement.majority),
        percent(agreement.split)
    );
    for rule in &report.rules {
        let _ = writeln!(text, "rule       {} decides {} pairs", rule.rule, rule.kept);
    }
    let _ = writeln!(text, "left side  chosen in {} of decided answers\n", percent(report.side_bias));
    let ratios = |model: &ModelReport| {
        [model.wins.to_string(), percent(model.win_ratio.reference), percent(model.win_ratio.decided)]
    };
    let rows: Vec<Vec<String>> = report
        .models
        .iter()
        .map(|model| [vec![model.model.clone()], ratios(model).to_vec()].concat())
        .collect();
    text.push_str(&table::render(&["model", "wins", "of all answers", "of decided"], &rows));
    text.push('\n');
    let models: Vec<&str> = report.models.iter().map(|model| model.model.as_str()).collect();
    let headings: Vec<String> =
        models.iter().flat_map(|model| [format!("{model} of all"), format!("{model} of decided")]).collect();
    let mut heading = vec!["category", "pairs", "responses", "both good", "both bad"];
    heading.extend(headings.iter().map(String::as_str));
    heading.push("verdict");
    let rows: Vec<Vec<String>> = report
        .categories
        .iter()
        .map(|category| {
            let mut row =
                vec![category.category.clone(), category.pairs.to_string(), category.responses.to_string()];
            for tie in ["both_good", "both_bad"] {
                row.push(category.answers.get(tie).copied().unwrap_or(0).to_string());
            }
            for model in &models {
                let found = category.models.iter().find(|known| known.model == *model);
                row.push(percent(found.and_then(|model| model.win_ratio.reference)));
                row.push(percent(found.and_then(|model| model.win_ratio.decided)));
            }
            row.push(category.verdict.clone());
            row
        })
        .collect();
    text.push_str(&table::render(&heading, &rows));
    text
}
