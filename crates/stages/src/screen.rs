//! Screen: what may be used, and the proof of it.
//!
//! A decision is kept by the content it is about and the policy that was asked: the same text is
//! never classified twice, and a changed threshold asks again. Where the configured list is empty
//! every item is recorded as `not screened`.

use std::collections::HashSet;

use diptych_core::config::{ClassifierUse, SprintConfig};
use diptych_core::{Decision, ScreeningPolicy, Stage, UnitKey};
use diptych_store::decisions::{Kind, NewDecision};
use diptych_text::lexicon;
use rayon::prelude::*;

use crate::ctx::now;
use crate::{Ctx, Flow, Result, StageError};

/// The embedded word list.
const LEXICON: &str = "lexicon";

/// Raised whenever the lexicon would decide otherwise, so that it is asked again.
const LEXICON_VERSION: u32 = 1;

/// The lexicon's score from which a text is removed, where the configuration does not say.
const LEXICON_THRESHOLD: f64 = 0.5;

/// So many decisions go to the store in one transaction.
const BATCH: usize = 10_000;

/// What is asked of one kind of item.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    classifiers: Vec<ClassifierUse>,
    name: String,
}

impl Policy {
    /// What the configuration asks of texts.
    pub fn of_texts(config: &SprintConfig) -> Self {
        Self::of(&config.screen.text)
    }

    /// What the configuration asks of images.
    pub fn of_images(config: &SprintConfig) -> Self {
        Self::of(&config.screen.image)
    }

    fn of(classifiers: &[ClassifierUse]) -> Self {
        let mut parts: Vec<String> = vec!["policy".to_owned()];
        for classifier in classifiers {
            let version = if classifier.name == LEXICON { LEXICON_VERSION } else { 0 };
            parts.push(format!("{} {:?} {version}", classifier.name, classifier.threshold));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = if classifiers.is_empty() { "none".to_owned() } else { UnitKey::of(&parts).to_string() };
        Self { classifiers: classifiers.to_vec(), name }
    }

    /// What identifies it in the store: changes with every classifier, threshold and version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it asks any classifier.
    pub fn asks(&self) -> ScreeningPolicy {
        if self.classifiers.is_empty() { ScreeningPolicy::None } else { ScreeningPolicy::Classifiers }
    }

    /// The names of its classifiers.
    pub fn classifiers(&self) -> impl Iterator<Item = &str> {
        self.classifiers.iter().map(|classifier| classifier.name.as_str())
    }

    fn decide_text(&self, text: &str) -> (Decision, String, String) {
        if self.classifiers.is_empty() {
            return (Decision::NotScreened, String::new(), "[]".to_owned());
        }
        let mut decision = Decision::Passed;
        let mut reason = String::new();
        let mut scores = Vec::new();
        for classifier in &self.classifiers {
            if classifier.name != LEXICON {
                // Unscreened means unseen: a classifier that cannot be asked lets nothing through.
                decision = Decision::NeedsReview;
                reason = format!("{} is missing", classifier.name);
                continue;
            }
            let hits = lexicon::screen(text);
            scores.push(serde_json::json!({
                "use": classifier.name, "version": LEXICON_VERSION, "score": hits.score, "words": hits.words,
            }));
            if f64::from(hits.score) >= classifier.threshold.unwrap_or(LEXICON_THRESHOLD) {
                decision = Decision::Removed;
                reason.clone_from(&classifier.name);
                break;
            }
        }
        (decision, reason, serde_json::Value::from(scores).to_string())
    }
}

/// What identifies a text in the table of decisions.
pub fn content_of_text(text: &str) -> String {
    UnitKey::of(&["text", text]).to_string()
}

/// Screens what is pending at this stage.
///
/// # Errors
/// Where the store fails.
pub async fn run(ctx: &Ctx, stage: Stage) -> Result<()> {
    let flow = Flow::load(ctx).await?;
    let (kind, policy) = match stage {
        Stage::ScreenPrompts => (Kind::Prompt, Policy::of_texts(&ctx.config)),
        Stage::ScreenVariants => (Kind::Variant, Policy::of_texts(&ctx.config)),
        _ => (Kind::Image, Policy::of_images(&ctx.config)),
    };
    let texts: Vec<String> = match kind {
        Kind::Prompt => flow.prompts_to_screen.into_iter().map(|prompt| prompt.text).collect(),
        Kind::Variant => flow.variants_to_screen.into_iter().map(|variant| variant.text).collect(),
        Kind::Image => {
            return screen_images(
                ctx,
                &policy,
                flow.images_to_screen.iter().map(|image| image.hash.as_str()),
            )
            .await;
        }
    };
    ctx.progress.begin(stage, Some(texts.len() as u64));
    let mut seen = HashSet::new();
    let texts: Vec<String> = texts.into_iter().filter(|text| seen.insert(text.clone())).collect();
    for batch in texts.chunks(BATCH) {
        let (batch, asked) = (batch.to_vec(), policy.clone());
        let size = batch.len() as u64;
        let decisions = tokio::task::spawn_blocking(move || {
            batch
                .par_iter()
                .map(|text| {
                    let (decision, reason, scores) = asked.decide_text(text);
                    NewDecision { content: content_of_text(text), decision, reason, scores }
                })
                .collect::<Vec<_>>()
        })
        .await
        .map_err(|_| StageError::Crashed(stage))?;
        ctx.store.record_decisions(&ctx.sprint, kind, policy.name(), decisions, now()).await?;
        ctx.progress.advance(size);
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
    }
    Ok(())
}

/// No image classifier exists yet, so the list is empty: that choice is recorded for every image.
async fn screen_images(ctx: &Ctx, policy: &Policy, hashes: impl Iterator<Item = &str>) -> Result<()> {
    let decision = match policy.asks() {
        ScreeningPolicy::None => Decision::NotScreened,
        ScreeningPolicy::Classifiers => Decision::NeedsReview,
    };
    let mut seen = HashSet::new();
    let decisions: Vec<NewDecision> = hashes
        .filter(|hash| seen.insert(*hash))
        .map(|hash| NewDecision {
            content: hash.to_owned(),
            decision,
            reason: String::new(),
            scores: "[]".to_owned(),
        })
        .collect();
    ctx.progress.begin(Stage::ScreenImages, Some(decisions.len() as u64));
    for batch in decisions.chunks(BATCH) {
        ctx.store.record_decisions(&ctx.sprint, Kind::Image, policy.name(), batch.to_vec(), now()).await?;
        ctx.progress.advance(batch.len() as u64);
    }
    Ok(())
}
