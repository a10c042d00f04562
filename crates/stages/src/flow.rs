//! The flow: which units each stage plans, and how each of them has ended.
//!
//! Everything follows from the store's rows and the configuration, by pure functions. A stage does
//! the units that are pending here; `status` counts them; `--dry-run` prices them. A changed
//! parameter changes the keys of just what depends on it, so only that is pending again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use diptych_core::config::{ModelConfig, Removes, SprintConfig};
use diptych_core::{
    CleanState, Decision, Evolution, PromptIndex, Screened, Split, Stage, UnitKey, seed, taxonomy,
};
use diptych_store::images::ImageBrief;
use diptych_store::prompts::CleanPrompt;
use diptych_store::reviews::{Standing, standing};
use diptych_store::scores::{Kind, Score};
use diptych_store::variants::{UnitState, VariantRow};
use diptych_store::{EVERY_PROMPT, Span};
use serde::Serialize;

use crate::screen::{Item, Outcome, Policy, Said, content_of_text, decide, said};
use crate::{Ctx, Result};

/// A stage's counts. `in = out + pending + failed + review + the sum of dropped`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The stage.
    pub stage: &'static str,
    /// What came in; the units it plans, for a stage that makes several rows of one.
    pub r#in: u64,
    /// What went out.
    pub out: u64,
    /// What is still to be done.
    pub pending: u64,
    /// What an engine could not do; `--retry-failed` tries again.
    pub failed: u64,
    /// What waits for a person.
    pub review: u64,
    /// What was dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Counts {
    fn of(stage: Stage) -> Self {
        Self { stage: stage.as_str(), ..Self::default() }
    }

    fn out(&mut self) {
        self.r#in += 1;
        self.out += 1;
    }

    fn pending(&mut self) {
        self.r#in += 1;
        self.pending += 1;
    }

    fn failed(&mut self) {
        self.r#in += 1;
        self.failed += 1;
    }

    fn review(&mut self) {
        self.r#in += 1;
        self.review += 1;
    }

    fn dropped(&mut self, reason: &str) {
        self.r#in += 1;
        *self.dropped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Whether what came in is accounted for.
    pub fn adds_up(&self) -> bool {
        self.r#in == self.out + self.pending + self.failed + self.review + self.dropped.values().sum::<u64>()
    }
}

/// A variant that the sprint wants.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantUnit {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its prompt.
    pub prompt: Screened<CleanPrompt>,
    /// How it is rewritten.
    pub evolution: Evolution,
    /// Its category; empty where prompts are sent as they are.
    pub category: &'static str,
    /// Its sub-category, likewise.
    pub sub_category: &'static str,
    /// What it has become, where it was made.
    pub row: Option<VariantRow>,
}

/// A variant that may be sent to image models.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its row.
    pub row: VariantRow,
    /// Its prompt's split.
    pub split: Split,
    /// Its prompt's text.
    pub source: String,
}

/// An image that the sprint wants.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageUnit {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its variant.
    pub variant: Arc<Screened<Variant>>,
    /// Its model's key.
    pub model: String,
    /// The seed that all models of the variant share.
    pub seed: u64,
    /// What it has become, where it was made.
    pub row: Option<Arc<ImageBrief>>,
}

/// A pair that the sprint wants, of images that may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct PairUnit {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its variant.
    pub variant: Arc<Screened<Variant>>,
    /// The first model's image.
    pub first: Screened<Arc<ImageBrief>>,
    /// The second model's image.
    pub second: Screened<Arc<ImageBrief>>,
}

/// All stages from screen-prompts on.
pub struct Flow {
    /// The variants that are wanted.
    pub variants: Vec<VariantUnit>,
    /// The images that are wanted.
    pub images: Vec<ImageUnit>,
    /// The pairs that are wanted.
    pub pairs: Vec<PairUnit>,
    /// The counts of every stage, in order.
    pub counts: Vec<Counts>,
    /// Every item of the three screening stages, with what became of it.
    pub judged: Vec<Item>,
    /// What is asked of texts.
    pub text_policy: Policy,
    /// What is asked of images.
    pub image_policy: Policy,
    /// How long the log of reviews was.
    pub reviews: i64,
    /// The keys of the pairs that the stages have wanted so far.
    pub standing: HashSet<String>,
}

impl Flow {
    /// Reads the sprint's rows and plans every stage.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn load(ctx: &Ctx) -> Result<Self> {
        Self::load_span(ctx, EVERY_PROMPT).await
    }

    /// The same of these prompts alone. What becomes of a prompt depends on no other one, so the flows of all
    /// spans add up to the flow of the sprint; only the counts of collect and clean are each time the sprint's.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn load_span(ctx: &Ctx, span: Span) -> Result<Self> {
        Self::load_span_with(ctx, span, |texts, images| (texts, images)).await
    }

    /// The same as [`Self::load_span`], under policies that `changed` makes of the configured ones.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn load_span_with(
        ctx: &Ctx,
        span: Span,
        changed: impl FnOnce(Policy, Policy) -> (Policy, Policy),
    ) -> Result<Self> {
        let (store, sprint, config) = (&ctx.store, &ctx.sprint, &*ctx.config);
        let (text_policy, image_policy) = changed(
            Policy::of_texts(config, &ctx.folder).with_newest(ctx).await?,
            Policy::of_images(config, &ctx.folder).with_newest(ctx).await?,
        );
        // Counted first: what is decided while the rest is read makes it out of date.
        let reviews = store.review_count(sprint).await?;
        let mut judge = Judge {
            ctx,
            everything: span == EVERY_PROMPT,
            standings: standing(&store.reviews(sprint).await?),
            judged: Vec::new(),
        };
        let writer = crate::enhance::descriptor(ctx)?;

        let mut counts = vec![collect_counts(ctx).await?, clean_counts(ctx).await?];

        let mut prompts = store.clean_prompts(sprint, span.clone()).await?;
        // A run that takes only the first prompts takes those of the whole sprint.
        let first = ctx.first.filter(|_| span == EVERY_PROMPT);
        if let Some(first) = first {
            // Screening may remove some: enough are looked at that so many come through.
            prompts.truncate(first.saturating_mul(2).saturating_add(50));
        }
        let describe = |prompt: &CleanPrompt| Item {
            text: Some(prompt.text.clone()),
            prompt: prompt.index.0,
            ..Item::at(Stage::ScreenPrompts, content_of_text(&prompt.text))
        };
        let mut screened = judge.screen(Stage::ScreenPrompts, &text_policy, prompts, describe).await?;
        if let Some(first) = first {
            let beyond = screened.admitted.len().saturating_sub(first) as u64;
            screened.admitted.truncate(first);
            screened.counts.out -= beyond;
            screened.counts.r#in -= beyond;
        }
        counts.push(screened.counts);

        let rows: HashMap<UnitKey, VariantRow> = store
            .variants(sprint, span.clone())
            .await?
            .into_iter()
            .map(|row| (row.key.clone(), row))
            .collect();
        let variants = plan_variants(config, &writer, screened.admitted, rows);
        let mut enhance = Counts::of(Stage::Enhance);
        let mut made = Vec::new();
        for unit in &variants {
            match &unit.row {
                None => enhance.pending(),
                Some(row) => match row.state {
                    UnitState::Done => {
                        enhance.out();
                        made.push(Variant {
                            row: row.clone(),
                            split: unit.prompt.get().split,
                            source: unit.prompt.get().text.clone(),
                        });
                    }
                    UnitState::Dropped => enhance.dropped(crate::enhance::counted(&row.reason)),
                    UnitState::Failed => enhance.failed(),
                },
            }
        }
        counts.push(enhance);

        let describe = |variant: &Variant| Item {
            text: Some(variant.row.text.clone()),
            prompt: variant.row.prompt.0,
            category: variant.row.category.clone(),
            ..Item::at(Stage::ScreenVariants, content_of_text(&variant.row.text))
        };
        let mut screened = judge.screen(Stage::ScreenVariants, &text_policy, made, describe).await?;
        if config.screen.removes == Removes::Row {
            let removed: HashSet<PromptIndex> =
                screened.removed.iter().map(|variant| variant.row.prompt).collect();
            screened.remove_rows(|variant| removed.contains(&variant.row.prompt));
        }
        counts.push(screened.counts);

        let rows: HashMap<UnitKey, Arc<ImageBrief>> = store
            .image_briefs(sprint, span.clone())
            .await?
            .into_iter()
            .map(|row| (row.key.clone(), Arc::new(row)))
            .collect();
        let images = plan_images(config, screened.admitted, rows);
        let mut generate = Counts::of(Stage::Generate);
        let mut made = Vec::new();
        for unit in &images {
            match &unit.row {
                None => generate.pending(),
                Some(row) => match row.state {
                    UnitState::Done => {
                        generate.out();
                        made.push(Arc::clone(row));
                    }
                    UnitState::Dropped => generate.dropped(crate::enhance::counted(&row.reason)),
                    UnitState::Failed => generate.failed(),
                },
            }
        }
        counts.push(generate);

        let categories: HashMap<UnitKey, String> = images
            .iter()
            .map(|unit| &unit.variant.get().row)
            .map(|row| (row.key.clone(), row.category.clone()))
            .collect();
        let describe = |image: &Arc<ImageBrief>| Item {
            prompt: image.prompt_index.0,
            category: categories.get(&image.variant).cloned().unwrap_or_default(),
            model: image.model.clone(),
            ..Item::at(Stage::ScreenImages, image.hash.as_str().to_owned())
        };
        let mut screened_images = judge.screen(Stage::ScreenImages, &image_policy, made, describe).await?;
        let mut withheld: HashSet<UnitKey> =
            screened_images.removed.iter().map(|image| image.key.clone()).collect();
        if config.screen.removes == Removes::Row {
            let removed: HashSet<PromptIndex> =
                screened_images.removed.iter().map(|image| image.prompt_index).collect();
            let of_row = |image: &Arc<ImageBrief>| removed.contains(&image.prompt_index);
            withheld.extend(
                images
                    .iter()
                    .filter_map(|unit| unit.row.as_ref())
                    .filter(|row| of_row(row))
                    .map(|row| row.key.clone()),
            );
            screened_images.remove_rows(of_row);
        }
        counts.push(screened_images.counts);

        let existing = Existing {
            pairs: store.pair_keys(sprint, span).await?,
            reported: store.withheld_pairs(sprint).await?,
        };
        let (pairs, pair) = plan_pairs(config, &images, screened_images.admitted, &withheld, &existing);
        counts.push(pair);
        Ok(Self {
            variants,
            images,
            pairs,
            counts,
            judged: judge.judged,
            text_policy,
            image_policy,
            reviews,
            standing: existing.pairs,
        })
    }
}

/// So many prompts are held at once, with all that came of them.
const SPAN: i64 = 1000;

/// The sprint's prompts, a span after another.
///
/// # Errors
/// Where the store fails.
pub async fn spans(ctx: &Ctx) -> Result<impl Iterator<Item = Span> + use<>> {
    let end = ctx.store.prompts_end(&ctx.sprint).await?;
    Ok((0..end).step_by(SPAN as usize).map(|start| start..start + SPAN))
}

/// Items after a screening stage.
struct Admission<T> {
    admitted: Vec<Screened<T>>,
    removed: Vec<T>,
    counts: Counts,
}

impl<T> Admission<T> {
    /// Takes back what was admitted of rows that something else has removed.
    fn remove_rows(&mut self, removed: impl Fn(&T) -> bool) {
        let before = self.admitted.len();
        self.admitted.retain(|item| !removed(item.get()));
        let gone = (before - self.admitted.len()) as u64;
        if gone > 0 {
            self.counts.out -= gone;
            *self.counts.dropped.entry("row_removed".to_owned()).or_default() += gone;
        }
    }
}

/// What classifiers and people have said so far, and the items that were decided by it.
struct Judge<'a> {
    ctx: &'a Ctx,
    /// Whether all prompts are looked at: then all scores of a kind are read at once.
    everything: bool,
    standings: HashMap<(Kind, String), Standing>,
    judged: Vec<Item>,
}

impl Judge<'_> {
    async fn screen<T>(
        &mut self,
        stage: Stage,
        policy: &Policy,
        items: Vec<T>,
        describe: impl Fn(&T) -> Item,
    ) -> Result<Admission<T>> {
        let mut counts = Counts::of(stage);
        let (mut admitted, mut removed) = (Vec::new(), Vec::new());
        let kind = if stage == Stage::ScreenImages { Kind::Image } else { Kind::Text };
        let described: Vec<Item> = items.iter().map(describe).collect();
        let kept = self.scores(kind, policy, &described).await?;
        for (thing, mut item) in items.into_iter().zip(described) {
            let scores = kept.get(&item.content).map(Vec::as_slice).unwrap_or_default();
            let standing = self.standings.get(&(kind, item.content.clone()));
            let said = said(policy, scores);
            for asked in policy.uses() {
                let version = asked.scored_by();
                let failed = scores
                    .iter()
                    .find(|score| Some(score.classifier.as_str()) == version && !score.error.is_empty());
                if let Some(score) = failed {
                    item.unanswered |= crate::screen::is_unanswered(score);
                    item.errors.push((asked.name.clone(), score.error.clone()));
                }
            }
            item.outcome = decide(policy, &said, standing);
            item.standing = standing.cloned();
            item.scores = policy
                .uses()
                .iter()
                .zip(said)
                .filter_map(|(asked, said)| match said {
                    Said::Score(score) => Some((asked.name.clone(), score)),
                    _ => None,
                })
                .collect();
            match &item.outcome {
                Outcome::Pending => counts.pending(),
                Outcome::Decided(decision, reason) => {
                    match Screened::admit(thing, *decision, policy.asks()) {
                        Ok(thing) => {
                            counts.out();
                            admitted.push(thing);
                        }
                        Err((thing, Decision::Removed)) => {
                            counts.dropped(if reason.is_empty() { "removed" } else { reason });
                            removed.push(thing);
                        }
                        Err(_) => counts.review(),
                    }
                }
            }
            self.judged.push(item);
        }
        Ok(Admission { admitted, removed, counts })
    }

    /// What the classifiers of this policy have said of these items.
    async fn scores(
        &self,
        kind: Kind,
        policy: &Policy,
        items: &[Item],
    ) -> Result<HashMap<String, Vec<Score>>> {
        let (store, sprint, versions) = (&self.ctx.store, &self.ctx.sprint, policy.versions());
        Ok(if self.everything {
            store.scores(sprint, kind, &versions).await?
        } else {
            let contents: Vec<&str> = items.iter().map(|item| item.content.as_str()).collect();
            store.scores_of(sprint, kind, &versions, &contents).await?
        })
    }
}

async fn collect_counts(ctx: &Ctx) -> Result<Counts> {
    let mut counts = Counts::of(Stage::Collect);
    if let Some(mark) = ctx.store.stage_mark(&ctx.sprint, Stage::Collect).await? {
        let report: crate::collect::Report = serde_json::from_str(&mark.report).unwrap_or_default();
        counts.r#in = report.rows;
        counts.out = report.prompts;
        counts.dropped = report.dropped;
    }
    Ok(counts)
}

async fn clean_counts(ctx: &Ctx) -> Result<Counts> {
    let mut counts = Counts::of(Stage::Clean);
    for (state, reason, count) in ctx.store.clean_counts(&ctx.sprint).await? {
        let count = u64::try_from(count).unwrap_or(0);
        counts.r#in += count;
        match state {
            Some(CleanState::Kept) => counts.out += count,
            Some(CleanState::Dropped) => {
                *counts.dropped.entry(reason.unwrap_or_default()).or_default() += count;
            }
            None => counts.pending += count,
        }
    }
    Ok(counts)
}

/// The variants that these prompts should become.
fn plan_variants(
    config: &SprintConfig,
    writer: &str,
    prompts: Vec<Screened<CleanPrompt>>,
    mut rows: HashMap<UnitKey, VariantRow>,
) -> Vec<VariantUnit> {
    let mut units = Vec::with_capacity(prompts.len() * config.enhance.evolutions.len());
    for prompt in prompts {
        let index = prompt.get().index;
        let seed_value = config.enhance.seed;
        let (category, sub_category) = match config.enhance.engine.as_str() {
            // What nobody rewrites into a category has none: chance would say nothing of the prompt.
            "none" => ("", ""),
            _ => taxonomy::pick((
                seed::draw(seed_value, "category", index.0),
                seed::draw(seed_value, "sub-category", index.0),
            )),
        };
        for evolution in &config.enhance.evolutions {
            let key = UnitKey::of(&[
                "variant",
                writer,
                &index.to_string(),
                &prompt.get().text,
                category,
                sub_category,
                evolution.as_str(),
                &seed_value.to_string(),
            ]);
            let row = rows.remove(&key);
            units.push(VariantUnit {
                key,
                prompt: prompt.clone(),
                evolution: *evolution,
                category,
                sub_category,
                row,
            });
        }
    }
    units
}

/// The images that these variants should get.
fn plan_images(
    config: &SprintConfig,
    variants: Vec<Screened<Variant>>,
    mut rows: HashMap<UnitKey, Arc<ImageBrief>>,
) -> Vec<ImageUnit> {
    let mut units = Vec::with_capacity(variants.len() * config.models.len());
    for variant in variants.into_iter().map(Arc::new) {
        let row = &variant.get().row;
        // Below 2³¹, because that is what image servers take. The same for all models of a variant.
        let seed_value =
            seed::draw(config.enhance.seed, &format!("image {}", row.evolution), row.prompt.0) >> 33;
        for model in &config.models {
            let key = image_key(row, model, seed_value);
            let image = rows.remove(&key);
            units.push(ImageUnit {
                key,
                variant: Arc::clone(&variant),
                model: model.key.clone(),
                seed: seed_value,
                row: image,
            });
        }
    }
    units
}

fn image_key(variant: &VariantRow, model: &ModelConfig, seed_value: u64) -> UnitKey {
    let guidance = model.guidance.get(&variant.evolution);
    UnitKey::of(&[
        "image",
        &variant.prompt.to_string(),
        variant.evolution.as_str(),
        &variant.category,
        &variant.text,
        &model.key,
        &model.name,
        &model.engine,
        if model.engine == "folder" { model.url.as_deref().unwrap_or_default() } else { "" },
        &format!("{}x{}", model.size.0, model.size.1),
        &format!("{:?} {guidance:?}", model.steps),
        &seed_value.to_string(),
    ])
}

/// The keys of pairs that are made already, and of those that reports withhold.
struct Existing {
    pairs: HashSet<String>,
    reported: HashSet<String>,
}

/// The pairs that these images should become, and the stage's counts.
fn plan_pairs(
    config: &SprintConfig,
    wanted: &[ImageUnit],
    admitted: Vec<Screened<Arc<ImageBrief>>>,
    withheld: &HashSet<UnitKey>,
    existing: &Existing,
) -> (Vec<PairUnit>, Counts) {
    let mut counts = Counts::of(Stage::Pair);
    let admitted: HashMap<UnitKey, Screened<Arc<ImageBrief>>> =
        admitted.into_iter().map(|image| (image.get().key.clone(), image)).collect();
    let mut by_variant: HashMap<&UnitKey, HashMap<&str, &ImageUnit>> = HashMap::new();
    let mut order = Vec::new();
    for unit in wanted {
        let variant = &unit.variant.get().row.key;
        let models = by_variant.entry(variant).or_insert_with(|| {
            order.push(unit);
            HashMap::new()
        });
        models.insert(&unit.model, unit);
    }
    let mut pairs = Vec::new();
    for unit in order {
        let Some(models) = by_variant.get(&unit.variant.get().row.key) else { continue };
        for (first, second) in config.model_pairs() {
            let sides = [models.get(first.as_str()), models.get(second.as_str())];
            let images = sides.map(|side| side.and_then(|side| admitted.get(&side.key)).cloned());
            if let [Some(first), Some(second)] = images {
                let key = UnitKey::of(&["pair", first.get().key.as_str(), second.get().key.as_str()]);
                if existing.reported.contains(key.as_str()) {
                    counts.review();
                } else if existing.pairs.contains(key.as_str()) {
                    counts.out();
                } else {
                    counts.pending();
                }
                pairs.push(PairUnit { key, variant: Arc::clone(&unit.variant), first, second });
                continue;
            }
            // A pair without one of its images: dropped where that image will never come, else waiting.
            let gone = sides.iter().flatten().find_map(|side| match &side.row {
                Some(row) if row.state == UnitState::Dropped => Some("image_dropped"),
                Some(row) if row.state == UnitState::Done && withheld.contains(&side.key) => {
                    Some("image_withheld")
                }
                _ => None,
            });
            match gone {
                Some(reason) => counts.dropped(reason),
                None if sides
                    .iter()
                    .flatten()
                    .any(|side| side.row.as_ref().is_some_and(|row| row.state == UnitState::Failed)) =>
                {
                    counts.failed();
                }
                None => counts.pending(),
            }
        }
    }
    (pairs, counts)
}
