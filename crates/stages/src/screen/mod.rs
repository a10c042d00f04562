//! Screen: what may be used, and the proof of it.
//!
//! Classifiers are asked once for each item and version of theirs, and what they say is kept. What follows
//! from it is not: [`decide`] makes a decision of scores, reviews and the configuration each time, so a changed
//! threshold decides anew without asking anybody.

mod classifiers;
mod decide;
mod policy;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use diptych_core::config::SprintConfig;
use diptych_core::{ScreeningPolicy, Stage, UnitKey};
use diptych_engine::{EngineError, ImageClassifier, Labels, TextClassifier};
use diptych_store::scores::{Kind, Score};
use diptych_store::sprints::StageMark;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::ctx::now;
use crate::work::{self, Ended};
use crate::{Ctx, Flow, Result, StageError, flow};

use classifiers::calls_at_once;
pub use classifiers::{LEXICON, image_classifier, text_classifier};
pub use decide::{Item, Outcome, Said, decide, said};
pub use policy::{Policy, Use};

/// What identifies a text in the tables of scores and reviews.
pub fn content_of_text(text: &str) -> String {
    UnitKey::of(&["text", text]).to_string()
}

/// What a classifier is to be shown: the item's hash, and the text where it is one.
type Shown = (String, Option<String>);

/// Screens what is pending at this stage; with `retry_failed`, also what a classifier has failed on.
///
/// # Errors
/// Where the store fails, or a classifier cannot work as it is configured.
pub async fn run(ctx: &Ctx, stage: Stage) -> Result<()> {
    let (kind, policy) = match stage {
        Stage::ScreenImages => (Kind::Image, Policy::of_images(&ctx.config, &ctx.folder)),
        _ => (Kind::Text, Policy::of_texts(&ctx.config, &ctx.folder)),
    };
    let mut failed_before = 0;
    let mut items: Vec<Shown> = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |flow: Flow| {
        for item in flow.judged {
            let wanted = item.is_pending() || item.unanswered || ctx.retry_failed && item.is_failed();
            failed_before += u64::from(item.stage == stage && item.is_failed() && !wanted);
            if item.stage == stage && wanted && seen.insert(item.content.clone()) {
                items.push((item.content, item.text));
            }
        }
    };
    for span in flow::spans(ctx).await? {
        // What the configuration no longer lets pass is shown to nobody while classifiers are at work.
        let flow = crate::pair::withdraw_unwanted(ctx, span).await?;
        if ctx.first.is_none() {
            add(flow);
        }
    }
    if ctx.first.is_some() {
        add(Flow::load(ctx).await?);
    }
    let versions: Vec<String> = policy.versions();
    let contents: Vec<&str> = items.iter().map(|(content, _)| content.as_str()).collect();
    let known = ctx.store.scores_of(&ctx.sprint, kind, &versions, &contents).await?;
    for asked in policy.uses() {
        let Ok(version) = &asked.version else { continue };
        let missing = |(content, _): &&Shown| {
            let score = known.get(content).and_then(|all| all.iter().find(|one| one.classifier == *version));
            score.is_none_or(|score| is_unanswered(score) || ctx.retry_failed && !score.error.is_empty())
        };
        let items: Vec<Shown> = items.iter().filter(missing).cloned().collect();
        if !items.is_empty() {
            let asking = Asking { stage, kind, asked: asked.clone(), version: version.clone() };
            let contents: Vec<String> = items.iter().map(|(content, _)| content.clone()).collect();
            ask(ctx, asking, items).await?;
            ctx.progress.end();
            tell_failures(ctx, kind, &asked.name, version, &contents).await?;
        }
    }
    if failed_before > 0 {
        ctx.progress.note(&format!(
            "{failed_before} items of {stage} wait for people since a classifier failed on them earlier; \
             `diptych run --retry-failed` has it look again"
        ));
    }
    // Said once: texts are screened at two stages.
    if stage != Stage::ScreenVariants {
        for (name, why) in policy.missing() {
            ctx.progress.note(&format!(
                "{name} cannot be asked, so what it has not screened waits for people: {why}"
            ));
        }
    }
    // That nobody was asked is a choice, and written down as one.
    let asked: Vec<&str> = policy.uses().iter().map(|asked| asked.name.as_str()).collect();
    let report =
        if policy.asks() == ScreeningPolicy::None { "not screened".to_owned() } else { asked.join(", ") };
    let mark = StageMark { key: versions.join(" "), report };
    Ok(ctx.store.mark_stage(&ctx.sprint, stage, mark, now()).await?)
}

/// Says on how many of these items a classifier has failed, and why on the first.
async fn tell_failures(ctx: &Ctx, kind: Kind, name: &str, version: &str, contents: &[String]) -> Result<()> {
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let scores = ctx.store.scores_of(&ctx.sprint, kind, &[version.to_owned()], &contents).await?;
    let failed: Vec<&Score> = scores.values().flatten().filter(|score| !score.error.is_empty()).collect();
    let Some(first) = failed.iter().min_by_key(|score| &score.content) else { return Ok(()) };
    let again = if is_unanswered(first) {
        "the next `diptych run` asks again"
    } else {
        "`diptych run --retry-failed` asks again"
    };
    ctx.progress.note(&format!(
        "{name} failed on {} items, which wait for people ({}); {again}",
        failed.len(),
        first.error
    ));
    Ok(())
}

/// Whether a classifier did not answer, or could not be used: nothing is wrong with the item.
pub(crate) fn is_unanswered(score: &Score) -> bool {
    score.detail == UNANSWERED
}

/// What stands in the detail of such a score.
const UNANSWERED: &str = r#"{"unanswered":true}"#;

/// Loads or reaches every classifier that the configuration names: its name, and one sentence on it.
pub async fn probe(config: &SprintConfig, folder: &Path) -> Vec<(String, Result<String, String>)> {
    let mut said = Vec::new();
    for (kind, policy) in
        [(Kind::Text, Policy::of_texts(config, folder)), (Kind::Image, Policy::of_images(config, folder))]
    {
        for asked in policy.uses() {
            if let (true, Err(why)) = (asked.refused, &asked.version) {
                said.push((asked.name.clone(), Err(why.clone())));
                continue;
            }
            let outcome = match Classifier::load(config, folder, &CancellationToken::new(), kind, asked).await
            {
                Ok(classifier) => classifier.probe().await,
                Err(error) => Err(error),
            };
            said.push((asked.name.clone(), outcome.map_err(|error| error.to_string())));
        }
    }
    said
}

/// A classifier of either kind.
enum Classifier {
    Text(Arc<dyn TextClassifier>),
    Image(Arc<dyn ImageClassifier>),
}

impl Classifier {
    async fn load(
        config: &SprintConfig,
        folder: &Path,
        stop: &CancellationToken,
        kind: Kind,
        asked: &Use,
    ) -> Result<Self, EngineError> {
        Ok(match kind {
            Kind::Text => Self::Text(text_classifier(config, folder, stop, asked).await?),
            Kind::Image => Self::Image(image_classifier(config, folder, stop, asked).await?),
        })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        match self {
            Self::Text(classifier) => classifier.probe().await,
            Self::Image(classifier) => classifier.probe().await,
        }
    }

    fn labels(&self) -> Option<Vec<String>> {
        match self {
            Self::Text(classifier) => classifier.labels(),
            Self::Image(classifier) => classifier.labels(),
        }
    }

    fn together(&self) -> usize {
        match self {
            Self::Text(classifier) => classifier.together(),
            Self::Image(classifier) => classifier.together(),
        }
    }

    /// One outcome an item, in their order.
    async fn classify(&self, ctx: &Ctx, items: &[Shown]) -> Result<Vec<Result<Labels, EngineError>>> {
        match self {
            Self::Text(classifier) => {
                let texts = items.iter().map(|(_, text)| text.clone().unwrap_or_default()).collect();
                Ok(classifier.classify(texts).await)
            }
            Self::Image(classifier) => {
                let mut images = Vec::with_capacity(items.len());
                for (content, _) in items {
                    let hash = diptych_core::ImageHash::from_text(content.clone());
                    images.push(ctx.blobs.image(&hash).await?);
                }
                // Bytes that are not what they were when they were named are not looked at.
                let changed: Vec<bool> = images
                    .iter()
                    .zip(items)
                    .map(|(bytes, (content, _))| diptych_core::ImageHash::of(bytes).as_str() != content)
                    .collect();
                let outcomes = classifier.classify(images).await;
                Ok(outcomes
                    .into_iter()
                    .zip(changed)
                    .map(|(outcome, changed)| match changed {
                        true => Err(EngineError::Unusable {
                            message: "the image's bytes have changed since it was made".to_owned(),
                        }),
                        false => outcome,
                    })
                    .collect())
            }
        }
    }
}

/// One classifier, asked at one stage.
#[derive(Clone)]
struct Asking {
    stage: Stage,
    kind: Kind,
    asked: Use,
    /// What its scores are kept under.
    version: String,
}

/// Asks one classifier about items, and keeps what it says as it comes.
async fn ask(ctx: &Ctx, asking: Asking, items: Vec<Shown>) -> Result<()> {
    let Asking { kind, asked, version, .. } = &asking;
    let classifier = match Classifier::load(&ctx.config, &ctx.folder, &ctx.stop, *kind, asked).await {
        Ok(classifier) => classifier,
        // Its files are there and cannot be used: what it should have looked at waits for people.
        Err(error) => {
            let failed =
                items.into_iter().map(|(content, _)| unanswered_score(content, version, &error)).collect();
            return Ok(ctx.store.record_scores(&ctx.sprint, *kind, failed, now()).await?);
        }
    };
    if let Some(refusal) = classifier
        .labels()
        .and_then(|labels| classifiers::unknown_labels(&asked.positive, asked.every_label, &labels))
    {
        return Err(StageError::Engine(format!("{}: {refusal}", asked.name)));
    }
    match calls_at_once(&ctx.config, asked) {
        Some(calls) => ask_by_queue(ctx, asking, classifier, items, calls).await,
        None => ask_here(ctx, &asking, &classifier, items).await,
    }
}

/// A classifier behind a network: a call an item, through the queue.
async fn ask_by_queue(
    ctx: &Ctx,
    asking: Asking,
    classifier: Classifier,
    items: Vec<Shown>,
    calls: usize,
) -> Result<()> {
    let key = |item: &Shown| UnitKey::of(&["screen", &asking.version, &item.0]);
    let units = items.into_iter().map(|item| (key(&item), item)).collect();
    let shared = Arc::new((ctx.clone(), asking.clone(), classifier));
    work::units(ctx, asking.stage, units, calls, move |item: Shown| {
        let shared = Arc::clone(&shared);
        async move {
            let (ctx, asking, classifier) = &*shared;
            let items = std::slice::from_ref(&item);
            let scores = keep(ctx, asking, items, classifier.classify(ctx, items).await?)?;
            let ended = if scores.is_empty() { Ended::Pending } else { Ended::Recorded };
            ctx.store.record_scores(&ctx.sprint, asking.kind, scores, now()).await?;
            Ok(ended)
        }
    })
    .await
}

/// A classifier that runs in this process, batch by batch.
async fn ask_here(ctx: &Ctx, asking: &Asking, classifier: &Classifier, items: Vec<Shown>) -> Result<()> {
    ctx.progress.begin(asking.stage, Some(items.len() as u64));
    let mut batches = stream::iter(items.chunks(classifier.together().max(1)))
        .map(|batch| async move { Ok::<_, StageError>((batch, classifier.classify(ctx, batch).await?)) })
        // The next batch is read while one is at work.
        .buffered(2);
    while let Some(done) = batches.next().await {
        let (batch, outcomes) = done?;
        let scores = keep(ctx, asking, batch, outcomes)?;
        ctx.store.record_scores(&ctx.sprint, asking.kind, scores, now()).await?;
        ctx.progress.advance(batch.len() as u64);
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
    }
    Ok(())
}

/// What is kept of a classifier's outcomes. What failed in passing waits for people until the next run asks
/// again; only what was broken off stays pending.
fn keep(
    ctx: &Ctx,
    Asking { asked, version, .. }: &Asking,
    items: &[Shown],
    outcomes: Vec<Result<Labels, EngineError>>,
) -> Result<Vec<Score>> {
    let mut scores = Vec::with_capacity(items.len());
    for ((content, text), outcome) in items.iter().zip(outcomes) {
        match outcome {
            Ok(labels) => scores.push(score(asked, content, text.as_deref(), version, &labels)),
            Err(EngineError::Transient { .. }) if ctx.stop.is_cancelled() => {}
            Err(error @ EngineError::Transient { .. }) => {
                scores.push(unanswered_score(content.clone(), version, &error));
            }
            Err(EngineError::Setup { message }) => return Err(StageError::Engine(message)),
            Err(error) => scores.push(failed_score(content.clone(), version, &error)),
        }
    }
    Ok(scores)
}

fn score(asked: &Use, content: &str, text: Option<&str>, version: &str, labels: &Labels) -> Score {
    // A score that is no number, or not between 0 and 1, says nothing.
    if let Some((label, score)) = labels.iter().find(|(_, score)| !(0.0..=1.0).contains(*score)) {
        let message = format!("it gave {score} for `{label}`");
        return failed_score(content.to_owned(), version, &EngineError::Unusable { message });
    }
    if let Some(label) = asked.positive.iter().find(|label| asked.every_label && !labels.contains_key(*label))
    {
        let message = format!("it gave no score for `{label}`");
        return failed_score(content.to_owned(), version, &EngineError::Unusable { message });
    }
    let rounded: BTreeMap<&str, f64> = labels
        .iter()
        .map(|(label, score)| (label.as_str(), (f64::from(*score) * 1e6).round() / 1e6))
        .collect();
    Score {
        content: content.to_owned(),
        classifier: version.to_owned(),
        labels: serde_json::to_string(&rounded).unwrap_or_default(),
        error: String::new(),
        detail: match (asked.name.as_str(), text) {
            (LEXICON, Some(text)) => classifiers::lexicon_detail(text),
            _ => "{}".to_owned(),
        },
    }
}

fn unanswered_score(content: String, version: &str, error: &EngineError) -> Score {
    Score { detail: UNANSWERED.to_owned(), ..failed_score(content, version, error) }
}

fn failed_score(content: String, version: &str, error: &EngineError) -> Score {
    Score {
        content,
        classifier: version.to_owned(),
        labels: "{}".to_owned(),
        error: crate::enhance::short(&error.to_string()),
        detail: "{}".to_owned(),
    }
}
