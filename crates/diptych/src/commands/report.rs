//! `diptych report`: agreement and win ratios.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use diptych_stages::results::{self, Figure, ModelReport, Report};
use diptych_stages::safety::{self, Change, Safety, Share};

use super::{print, print_json};
use crate::{Usage, place, table};

/// Prints the report.
pub async fn run(folder: &Path, as_json: bool, html: Option<&Path>) -> Result<()> {
    let look = place::look(folder).await?;
    let ctx = &look.ctx;
    let report = results::report(ctx).await?;
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

/// Prints how well the classifiers do, and what another threshold would change.
pub async fn safety(folder: &Path, as_json: bool, threshold: Option<&str>) -> Result<()> {
    let look = place::look(folder).await?;
    let ctx = &look.ctx;
    let report = safety::report(ctx).await?;
    let changes = match threshold {
        Some(change) => {
            let (name, score) = change
                .split_once('=')
                .and_then(|(name, score)| Some((name, score.parse().ok()?)))
                .ok_or_else(|| {
                    Usage(format!("--threshold {change}: write CLASSIFIER=SCORE, like open-nsfw=0.7"))
                })?;
            Some(safety::changes(ctx, name, score).await?)
        }
        None => None,
    };
    if as_json {
        let mut document = serde_json::to_value(&report)?;
        if let Some(changes) = changes {
            document["changes"] = serde_json::to_value(changes)?;
        }
        return print_json(&document);
    }
    print(&safety_for_people(&report, changes.as_deref()))
}

fn share(share: Option<Share>) -> String {
    share.map_or_else(
        || "–".to_owned(),
        |share| format!("{:.0}% ({:.0}–{:.0})", share.value * 100.0, share.low * 100.0, share.high * 100.0),
    )
}

fn safety_for_people(report: &Safety, changes: Option<&[Change]>) -> String {
    let mut text = String::new();
    let rows: Vec<Vec<String>> = report
        .stages
        .iter()
        .flat_map(|stage| {
            stage
                .counts
                .iter()
                .map(|(said, count)| vec![stage.stage.to_owned(), said.clone(), count.to_string()])
        })
        .collect();
    text.push_str(&table::render(&["stage", "decided", "items"], &rows));
    if report.row_removed > 0 {
        let _ = writeln!(text, "and {} items that were dropped with their row", report.row_removed);
    }
    text.push('\n');
    let rows: Vec<Vec<String>> = report
        .classifiers
        .iter()
        .map(|one| {
            vec![
                one.classifier.clone(),
                one.kind.to_owned(),
                one.at.threshold.to_string(),
                one.scored.to_string(),
                one.at.positive.to_string(),
                one.reviewed.to_string(),
                share(one.at.precision),
                share(one.at.recall),
            ]
        })
        .collect();
    let heading = [
        "classifier",
        "for",
        "threshold",
        "scored",
        "positive",
        "reviewed",
        "precision (95%)",
        "recall (95%)",
    ];
    text.push_str(&table::render(&heading, &rows));
    let [looked_at, images] = report.images_reviewed;
    let _ = writeln!(text, "\nPeople have decided about {looked_at} of {images} images.");
    for note in &report.notes {
        let _ = writeln!(text, "{note}");
    }
    if let Some(changes) = changes {
        let _ = writeln!(text, "\nWith that threshold, {} items would be decided otherwise:", changes.len());
        let rows: Vec<Vec<String>> = changes
            .iter()
            .map(|change| {
                let what = change.text.as_deref().unwrap_or(&change.content);
                let what: String = what.chars().take(60).collect();
                vec![change.stage.to_owned(), what, change.from.clone(), change.to.clone()]
            })
            .collect();
        text.push_str(&table::render(&["stage", "item", "now", "then"], &rows));
        text.push_str(
            "Set it in [screen] of sprint.toml and run `diptych run` to apply it: no model is asked again.\n",
        );
    }
    text
}
