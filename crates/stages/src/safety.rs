//! Safety: how well each classifier does by what people have reviewed, and what another threshold would change.
//!
//! What people have looked at is rarely a fair sample: moderators are shown first what classifiers doubt. So
//! these figures hold for what was reviewed; only a sprint of which every image is looked at has those of all.

use std::collections::{BTreeMap, HashMap, HashSet};

use diptych_core::Stage;
use diptych_stats as stats;
use serde::Serialize;

use crate::screen::{Item, Outcome, Policy};
use crate::{Ctx, Flow, Result, StageError};

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The value.
    pub value: f64,
    /// The interval's lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl Share {
    fn of(part: u64, whole: u64) -> Option<Self> {
        let (low, high) = stats::wilson(part, whole)?;
        Some(Self { value: part as f64 / whole as f64, low, high })
    }
}

/// How a classifier does at one threshold, of what was reviewed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtThreshold {
    /// The threshold.
    pub threshold: f64,
    /// What it would remove, of everything that it has scored.
    pub positive: u64,
    /// Of what it finds, the share that people reject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Share>,
    /// Of what people reject, the share that it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<Share>,
}

/// One classifier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierReport {
    /// Its name.
    pub classifier: String,
    /// `text` or `image`.
    pub kind: &'static str,
    /// What its scores are kept under: name, model file, preparation. Absent where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Items that it has scored.
    pub scored: u64,
    /// Items that people have decided about, of those.
    pub reviewed: u64,
    /// At its threshold.
    pub at: AtThreshold,
    /// Over thresholds.
    pub curve: Vec<AtThreshold>,
}

/// Items by what was decided about them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// The stage.
    pub stage: &'static str,
    /// Decision and reason, and how many.
    pub counts: BTreeMap<String, u64>,
}

/// The report of `report --safety`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Safety {
    /// The sprint's slug.
    pub sprint: String,
    /// What was decided at each screening stage.
    pub stages: Vec<Decided>,
    /// Every classifier.
    pub classifiers: Vec<ClassifierReport>,
    /// Images that people have decided about, and all of them.
    pub images_reviewed: [u64; 2],
    /// What must be known of these figures.
    pub notes: Vec<String>,
}

/// An item whose decision another threshold would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where it stands.
    pub stage: &'static str,
    /// Its hash.
    pub content: String,
    /// The text, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is decided now.
    pub from: String,
    /// What would be.
    pub to: String,
}

/// How well each classifier does.
///
/// # Errors
/// Where the store fails.
pub async fn report(ctx: &Ctx) -> Result<Safety> {
    let flow = Flow::load(ctx).await?;
    let mut stages = Vec::new();
    for stage in [Stage::ScreenPrompts, Stage::ScreenVariants, Stage::ScreenImages] {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for item in flow.judged.iter().filter(|item| item.stage == stage) {
            *counts.entry(said(&item.outcome)).or_default() += 1;
        }
        stages.push(Decided { stage: stage.as_str(), counts });
    }
    let texts = once(&flow.judged, |stage| stage != Stage::ScreenImages);
    let images = once(&flow.judged, |stage| stage == Stage::ScreenImages);
    let mut classifiers = of_policy(&flow.text_policy, "text", &texts);
    classifiers.extend(of_policy(&flow.image_policy, "image", &images));
    let looked_at = images.iter().filter(|item| item.unsafe_by_people().is_some()).count() as u64;
    let mut notes = Vec::new();
    if looked_at < images.len() as u64 {
        notes.push(
            "People have not looked at every image, and are shown first what classifiers doubt: precision and recall are those of what was reviewed."
                .to_owned(),
        );
    }
    for (name, why) in flow.text_policy.missing().chain(flow.image_policy.missing()) {
        notes.push(format!("{name} is missing: {why}"));
    }
    Ok(Safety {
        sprint: ctx.config.sprint.slug.clone(),
        stages,
        classifiers,
        images_reviewed: [looked_at, images.len() as u64],
        notes,
    })
}

/// What would change with another threshold of one classifier, item by item.
///
/// # Errors
/// Where the sprint does not use the classifier, the threshold is none, or the store fails.
pub async fn changes(ctx: &Ctx, classifier: &str, threshold: f64) -> Result<Vec<Change>> {
    if !(0.0..=1.0).contains(&threshold) {
        return Err(StageError::Refused(format!("a threshold of {threshold} is not between 0 and 1")));
    }
    let now = Flow::load(ctx).await?;
    let used = now.text_policy.uses().iter().chain(now.image_policy.uses()).map(|asked| asked.name.as_str());
    let used: Vec<&str> = used.collect();
    if !used.contains(&classifier) {
        return Err(StageError::Refused(format!(
            "the sprint does not use `{classifier}` (it uses: {})",
            used.join(", ")
        )));
    }
    let then = Flow::load_with(ctx, |texts, images| {
        (texts.with_threshold(classifier, threshold), images.with_threshold(classifier, threshold))
    })
    .await?;
    let before: HashMap<(Stage, &str), String> =
        now.judged.iter().map(|item| ((item.stage, item.content.as_str()), said(&item.outcome))).collect();
    let mut seen = HashSet::new();
    let mut changes = Vec::new();
    for item in &then.judged {
        let to = said(&item.outcome);
        // What an earlier stage lets through only then comes from nowhere.
        let from = before
            .get(&(item.stage, item.content.as_str()))
            .cloned()
            .unwrap_or_else(|| "not there".to_owned());
        if from != to && seen.insert((item.stage, item.content.as_str())) {
            changes.push(Change {
                stage: item.stage.as_str(),
                content: item.content.clone(),
                text: item.text.clone(),
                from,
                to,
            });
        }
    }
    Ok(changes)
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pending => "pending".to_owned(),
        Outcome::Decided(decision, reason) if reason.is_empty() => decision.as_str().to_owned(),
        Outcome::Decided(decision, reason) => format!("{}: {reason}", decision.as_str()),
    }
}

/// Each content once.
fn once(judged: &[Item], of: impl Fn(Stage) -> bool) -> Vec<&Item> {
    let mut seen = HashSet::new();
    judged.iter().filter(|item| of(item.stage) && seen.insert(item.content.as_str())).collect()
}

fn of_policy(policy: &Policy, kind: &'static str, items: &[&Item]) -> Vec<ClassifierReport> {
    let reports = policy.uses().iter().map(|asked| {
        let scored: Vec<(f64, Option<bool>)> = items
            .iter()
            .filter_map(|item| {
                let (_, score) = item.scores.iter().find(|(name, _)| *name == asked.name)?;
                Some((*score, item.unsafe_by_people()))
            })
            .collect();
        ClassifierReport {
            classifier: asked.name.clone(),
            kind,
            version: asked.version.clone().ok(),
            scored: scored.len() as u64,
            reviewed: scored.iter().filter(|(_, rejected)| rejected.is_some()).count() as u64,
            at: at(&scored, asked.threshold),
            curve: (1..20).map(|step| at(&scored, f64::from(step) / 20.0)).collect(),
        }
    });
    reports.collect()
}

fn at(scored: &[(f64, Option<bool>)], threshold: f64) -> AtThreshold {
    let (mut positive, mut hits, mut found, mut rejected) = (0, 0, 0, 0);
    for (score, people) in scored {
        let is_positive = *score >= threshold;
        positive += u64::from(is_positive);
        match people {
            Some(true) => {
                rejected += 1;
                found += u64::from(is_positive);
                hits += u64::from(is_positive);
            }
            Some(false) => found += u64::from(is_positive),
            None => {}
        }
    }
    AtThreshold { threshold, positive, precision: Share::of(hits, found), recall: Share::of(hits, rejected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_count_only_what_people_have_decided() {
        let scored =
            [(0.9, Some(true)), (0.8, Some(false)), (0.7, None), (0.3, Some(true)), (0.1, Some(false))];
        let report = at(&scored, 0.5);
        assert_eq!(report.positive, 3);
        let precision = report.precision.unwrap();
        assert_eq!(precision.value, 0.5);
        assert!(precision.low > 0.09 && precision.high < 0.91, "{precision:?}");
        assert_eq!(report.recall.unwrap().value, 0.5);
        assert_eq!(at(&scored, 0.05).recall.unwrap().value, 1.0);
        assert_eq!(at(&scored, 0.95).precision, None, "nothing found, nothing to say");
    }
}
