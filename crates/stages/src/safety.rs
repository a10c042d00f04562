//! Safety: how well each classifier does by what people have reviewed, and what another threshold would change.
//!
//! What people have looked at is rarely a fair sample: moderators are shown first what classifiers doubt. So
//! these figures hold for what was reviewed; only a sprint of which every image is looked at has those of all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use diptych_core::Stage;
use diptych_core::config::{ConfigError, Overrides, SprintConfig, edit};
use diptych_stats as stats;
use diptych_store::settings::SettingChange;
use serde::{Serialize, Serializer};

use crate::review::Reviewer;
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
    /// Items that were dropped with their row, for what was found in another one of it.
    pub row_removed: u64,
    /// Images that people have decided about, and all of them.
    pub images_reviewed: [u64; 2],
    /// What must be known of these figures.
    pub notes: Vec<Note>,
}

/// What must be known of the figures; its words are a sentence of English, also where it is kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// What was reviewed is no fair sample of all images.
    NotEveryImage,
    /// A classifier is not there.
    Missing {
        /// Its name.
        classifier: String,
        /// What is wrong, for whoever runs the server.
        why: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEveryImage => f.write_str(
                "People have not looked at every image, and are shown first what classifiers doubt: precision and \
                 recall are those of what was reviewed.",
            ),
            Self::Missing { classifier, why } => write!(f, "{classifier} cannot be asked: {why}"),
        }
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
    let stages = [Stage::ScreenPrompts, Stage::ScreenVariants, Stage::ScreenImages];
    let mut counts: HashMap<Stage, BTreeMap<String, u64>> = HashMap::new();
    let texts = Policy::of_texts(&ctx.config, &ctx.folder).with_newest(ctx).await?;
    let images = Policy::of_images(&ctx.config, &ctx.folder).with_newest(ctx).await?;
    let (mut of_texts, mut of_images) = (Seen::by(&texts), Seen::by(&images));
    let mut row_removed = 0;
    for span in crate::flow::spans(ctx).await? {
        let flow = Flow::load_span(ctx, span).await?;
        row_removed += flow.counts.iter().filter_map(|stage| stage.dropped.get("row_removed")).sum::<u64>();
        for item in &flow.judged {
            *counts.entry(item.stage).or_default().entry(said(&item.outcome)).or_default() += 1;
            if item.stage == Stage::ScreenImages { of_images.add(item) } else { of_texts.add(item) }
        }
    }
    let mut classifiers = of_texts.reports("text");
    classifiers.extend(of_images.reports("image"));
    let images_reviewed = [of_images.looked_at, of_images.contents.len() as u64];
    let mut notes = Vec::new();
    if images_reviewed[0] < images_reviewed[1] {
        notes.push(Note::NotEveryImage);
    }
    for (name, why) in texts.missing().chain(images.missing()) {
        notes.push(Note::Missing { classifier: name.to_owned(), why: why.to_owned() });
    }
    let stages = stages
        .map(|stage| Decided { stage: stage.as_str(), counts: counts.remove(&stage).unwrap_or_default() });
    Ok(Safety {
        sprint: ctx.config.sprint.slug.clone(),
        stages: stages.into(),
        classifiers,
        row_removed,
        images_reviewed,
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
    let policies = [Policy::of_texts(&ctx.config, &ctx.folder), Policy::of_images(&ctx.config, &ctx.folder)];
    let used: Vec<&str> = policies.iter().flat_map(Policy::uses).map(|asked| asked.name.as_str()).collect();
    if !used.contains(&classifier) {
        return Err(StageError::Nothing(format!(
            "the sprint does not use `{classifier}` (it uses: {})",
            used.join(", ")
        )));
    }
    let mut before: HashMap<(Stage, String), String> = HashMap::new();
    for span in crate::flow::spans(ctx).await? {
        let now = Flow::load_span(ctx, span).await?.judged;
        before.extend(now.into_iter().map(|item| ((item.stage, item.content), said(&item.outcome))));
    }
    let mut seen = HashSet::new();
    let mut changes = Vec::new();
    for span in crate::flow::spans(ctx).await? {
        let then = Flow::load_span_with(ctx, span, |texts, images| {
            (texts.with_threshold(classifier, threshold), images.with_threshold(classifier, threshold))
        });
        for item in then.await?.judged {
            let (key, to) = ((item.stage, item.content), said(&item.outcome));
            // What an earlier stage lets through only then comes from nowhere.
            let from = before.get(&key).map_or("not there", String::as_str);
            if from != to && seen.insert(key.clone()) {
                let (from, content) = (from.to_owned(), key.1);
                changes.push(Change { stage: item.stage.as_str(), content, text: item.text, from, to });
            }
        }
    }
    // As the review page orders them: no place says which model made a picture.
    for of_one_text in changes.chunk_by_mut(|one, next| one.stage == next.stage && one.text == next.text) {
        of_one_text.sort_by(|one, other| one.content.cmp(&other.content));
    }
    Ok(changes)
}

/// Gives one classifier another threshold, in the sprint's `sprint.toml`, and returns the sprint as it goes on.
/// Who did it stands in the log, before the file: from then on nobody goes by an older one.
///
/// # Errors
/// Where somebody else than an organizer wants it, the sprint does not use the classifier, an environment variable
/// says otherwise, another program has just changed one, or the file cannot be written.
pub async fn set_threshold(
    ctx: &Ctx,
    overrides: &Overrides,
    who: &Reviewer,
    classifier: &str,
    threshold: f64,
) -> Result<Ctx> {
    if !who.organizer {
        return Err(StageError::Refused("an organizer of the sprint sets thresholds".to_owned()));
    }
    if !(0.0..=1.0).contains(&threshold) {
        return Err(StageError::Refused(format!("a threshold of {threshold} is not between 0 and 1")));
    }
    let path = ctx.folder.join("sprint.toml");
    let file_error = |source| StageError::File { path: path.display().to_string(), source };
    let refuse = |error: ConfigError| StageError::Refused(error.to_string());
    // Counted before the file is read, so that what another program sets between the two is noticed.
    let known = ctx.store.settings_count(&ctx.sprint).await?;
    if known != ctx.settings {
        return Err(StageError::SettingsChanged);
    }
    // Where the file itself is, should this be a link.
    let path_itself = path.canonicalize().map_err(file_error)?;
    let text = std::fs::read_to_string(&path_itself).map_err(file_error)?;
    let unlisted = |error: ConfigError| StageError::Nothing(error.to_string());
    let text = edit::with_threshold(&text, classifier, threshold).map_err(unlisted)?;
    let config = SprintConfig::parse("sprint.toml", &text, overrides).map_err(refuse)?;
    let mut used = config.screen.text.iter().chain(&config.screen.image);
    if !used.any(|used| used.name == classifier && used.threshold == Some(threshold)) {
        return Err(StageError::Refused(
            "an environment variable, DIPTYCH_SCREEN__…, says what screens this sprint: change it there"
                .to_owned(),
        ));
    }
    let from = used_threshold(ctx, classifier);
    // Whole or not at all, with the permissions that it had.
    let part = path_itself.with_extension("toml.part");
    std::fs::copy(&path_itself, &part).map_err(file_error)?;
    std::fs::write(&part, text).map_err(file_error)?;
    std::fs::File::open(&part).and_then(|part| part.sync_all()).map_err(file_error)?;
    let change = SettingChange {
        person: who.person.clone(),
        what: format!("{THRESHOLD_OF}{classifier}"),
        from,
        to: threshold.to_string(),
        at: crate::ctx::now(),
    };
    if !ctx.store.record_setting(&ctx.sprint, change.clone(), known).await? {
        return Err(StageError::SettingsChanged);
    }
    if let Err(error) = std::fs::rename(&part, &path_itself) {
        // Or everybody would wait for a file that says so.
        let back = SettingChange { from: change.to, to: change.from, ..change };
        ctx.store.record_setting(&ctx.sprint, back, known + 1).await?;
        return Err(file_error(error));
    }
    Ok(Ctx { config: std::sync::Arc::new(config), settings: known + 1, ..ctx.clone() })
}

/// Whether the configuration has each threshold that was set from a page since there were `known` such settings.
///
/// # Errors
/// Where the store fails.
pub async fn says_what_was_set(ctx: &Ctx, known: i64) -> Result<bool> {
    let settings =
        ctx.store.settings(&ctx.sprint).await?.into_iter().skip(usize::try_from(known).unwrap_or(0));
    let set: BTreeMap<String, String> = settings.map(|(_, change)| (change.what, change.to)).collect();
    Ok(set.iter().all(|(what, to)| match what.strip_prefix(THRESHOLD_OF) {
        Some(classifier) => used_threshold(ctx, classifier) == *to,
        None => true,
    }))
}

/// How the log calls the threshold of a classifier, whose name follows.
pub const THRESHOLD_OF: &str = "threshold of ";

/// The threshold that a classifier has now, in words.
fn used_threshold(ctx: &Ctx, classifier: &str) -> String {
    let policies = [Policy::of_texts(&ctx.config, &ctx.folder), Policy::of_images(&ctx.config, &ctx.folder)];
    let mut uses = policies.iter().flat_map(Policy::uses);
    uses.find(|used| used.name == classifier).map_or_else(String::new, |used| used.threshold.to_string())
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pending => "pending".to_owned(),
        Outcome::Decided(decision, reason) if reason.is_empty() => decision.as_str().to_owned(),
        Outcome::Decided(decision, reason) => format!("{}: {reason}", decision.as_str()),
    }
}

/// What each classifier of a policy says of the items that were seen, and what people say: each content once.
struct Seen<'a> {
    policy: &'a Policy,
    contents: HashSet<String>,
    /// Items that people have decided about.
    looked_at: u64,
    /// By classifier: score, and whether people rejected the item.
    scored: Vec<Vec<(f64, Option<bool>)>>,
}

impl<'a> Seen<'a> {
    fn by(policy: &'a Policy) -> Self {
        let scored = vec![Vec::new(); policy.uses().len()];
        Self { policy, contents: HashSet::new(), looked_at: 0, scored }
    }

    fn add(&mut self, item: &Item) {
        if !self.contents.insert(item.content.clone()) {
            return;
        }
        let people = item.unsafe_by_people();
        self.looked_at += u64::from(people.is_some() && item.is_reviewed(self.policy.every()));
        for (asked, scored) in self.policy.uses().iter().zip(&mut self.scored) {
            if let Some((_, score)) = item.scores.iter().find(|(name, _)| *name == asked.name) {
                scored.push((*score, people));
            }
        }
    }

    fn reports(&self, kind: &'static str) -> Vec<ClassifierReport> {
        let reports = self.policy.uses().iter().zip(&self.scored).map(|(asked, scored)| ClassifierReport {
            classifier: asked.name.clone(),
            kind,
            version: asked.scored_by().map(str::to_owned),
            scored: scored.len() as u64,
            reviewed: scored.iter().filter(|(_, rejected)| rejected.is_some()).count() as u64,
            at: at(scored, asked.threshold),
            curve: (1..20).map(|step| at(scored, f64::from(step) / 20.0)).collect(),
        });
        reports.collect()
    }
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
