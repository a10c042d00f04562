//! The flow: which units each stage plans, and how each of them has ended.
//!
//! Everything follows from the store's rows and the configuration, by pure functions. A stage does
//! the units that are pending here; `status` counts them; `--dry-run` prices them. A changed
//! parameter changes the keys of just what depends on it, so only that is pending again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use diptych_core::config::{ModelConfig, Removes, SprintConfig};
use diptych_core::{
    Decision, Evolution, PromptIndex, Screened, ScreeningPolicy, Stage, UnitKey, seed, taxonomy,
};
use diptych_store::decisions::Kind;
use diptych_store::images::ImageRow;
use diptych_store::prompts::CleanPrompt;
use diptych_store::variants::{UnitState, VariantRow};
use serde::Serialize;

use crate::screen::Policy;
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
    /// Its category.
    pub category: &'static str,
    /// Its sub-category.
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
    pub split: String,
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
    pub row: Option<Arc<ImageRow>>,
}

/// A pair that the sprint wants, of images that may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct PairUnit {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its variant.
    pub variant: Arc<Screened<Variant>>,
    /// The first model's image.
    pub first: Screened<Arc<ImageRow>>,
    /// The second model's image.
    pub second: Screened<Arc<ImageRow>>,
}

/// All stages from screen-prompts on.
pub struct Flow {
    /// Prompts whose screening is pending.
    pub prompts_to_screen: Vec<CleanPrompt>,
    /// The variants that are wanted.
    pub variants: Vec<VariantUnit>,
    /// Variants whose screening is pending.
    pub variants_to_screen: Vec<VariantRow>,
    /// The images that are wanted.
    pub images: Vec<ImageUnit>,
    /// Images whose screening is pending.
    pub images_to_screen: Vec<Arc<ImageRow>>,
    /// The pairs that are wanted.
    pub pairs: Vec<PairUnit>,
    /// The counts of every stage, in order.
    pub counts: Vec<Counts>,
    /// How far each kind of item was screened.
    pub screening: BTreeMap<&'static str, ScreeningPolicy>,
}

impl Flow {
    /// Reads the sprint's rows and plans every stage.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn load(ctx: &Ctx) -> Result<Self> {
        let (store, sprint, config) = (&ctx.store, &ctx.sprint, &*ctx.config);
        let text_policy = Policy::of_texts(config);
        let image_policy = Policy::of_images(config);
        let writer = crate::enhance::descriptor(ctx)?;

        let mut counts = vec![collect_counts(ctx).await?, clean_counts(ctx).await?];

        let mut prompts = store.clean_prompts(sprint).await?;
        if let Some(first) = ctx.first {
            // Screening may remove some: enough are looked at that so many come through.
            prompts.truncate(first.saturating_mul(2).saturating_add(50));
        }
        let decided = store.decisions(sprint, Kind::Prompt, text_policy.name()).await?;
        let mut screened = screen(Stage::ScreenPrompts, prompts, &decided, &text_policy, |prompt| {
            crate::screen::content_of_text(&prompt.text)
        });
        let prompts_to_screen = std::mem::take(&mut screened.pending);
        if let Some(first) = ctx.first {
            let beyond = screened.admitted.len().saturating_sub(first) as u64;
            screened.admitted.truncate(first);
            screened.counts.out -= beyond;
            screened.counts.r#in -= beyond;
        }
        counts.push(screened.counts);

        let rows: HashMap<UnitKey, VariantRow> =
            store.variants(sprint).await?.into_iter().map(|row| (row.key.clone(), row)).collect();
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
                            split: unit.prompt.get().split.clone(),
                            source: unit.prompt.get().text.clone(),
                        });
                    }
                    UnitState::Dropped => enhance.dropped(crate::enhance::counted(&row.reason)),
                    UnitState::Failed => enhance.failed(),
                },
            }
        }
        counts.push(enhance);

        let decided = store.decisions(sprint, Kind::Variant, text_policy.name()).await?;
        let mut screened = screen(Stage::ScreenVariants, made, &decided, &text_policy, |variant| {
            crate::screen::content_of_text(&variant.row.text)
        });
        let variants_to_screen = screened.pending.iter().map(|variant| variant.row.clone()).collect();
        if config.screen.removes == Removes::Row {
            let removed: HashSet<PromptIndex> =
                screened.removed.iter().map(|variant| variant.row.prompt).collect();
            screened.remove_rows(|variant| removed.contains(&variant.row.prompt));
        }
        counts.push(screened.counts);

        let rows: HashMap<UnitKey, Arc<ImageRow>> =
            store.images(sprint).await?.into_iter().map(|row| (row.key.clone(), Arc::new(row))).collect();
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

        let decided = store.decisions(sprint, Kind::Image, image_policy.name()).await?;
        let mut screened_images = screen(Stage::ScreenImages, made, &decided, &image_policy, |image| {
            image.hash.as_str().to_owned()
        });
        let images_to_screen = std::mem::take(&mut screened_images.pending);
        let mut withheld: HashSet<UnitKey> =
            screened_images.removed.iter().map(|image| image.key.clone()).collect();
        if config.screen.removes == Removes::Row {
            let removed: HashSet<PromptIndex> =
                screened_images.removed.iter().map(|image| image.prompt_index).collect();
            let of_row = |image: &Arc<ImageRow>| removed.contains(&image.prompt_index);
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

        let existing = store.pair_keys(sprint).await?;
        let (pairs, pair) = plan_pairs(config, &images, screened_images.admitted, &withheld, &existing);
        counts.push(pair);

        let screening = BTreeMap::from([("texts", text_policy.asks()), ("images", image_policy.asks())]);
        Ok(Self {
            prompts_to_screen,
            variants,
            variants_to_screen,
            images,
            images_to_screen,
            pairs,
            counts,
            screening,
        })
    }
}

/// Items after a screening stage.
struct Admission<T> {
    admitted: Vec<Screened<T>>,
    pending: Vec<T>,
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

fn screen<T>(
    stage: Stage,
    items: Vec<T>,
    decided: &HashMap<String, (Decision, String)>,
    policy: &Policy,
    content: impl Fn(&T) -> String,
) -> Admission<T> {
    let mut result = Admission {
        admitted: Vec::new(),
        pending: Vec::new(),
        removed: Vec::new(),
        counts: Counts::of(stage),
    };
    for item in items {
        let Some((decision, reason)) = decided.get(&content(&item)) else {
            result.counts.pending();
            result.pending.push(item);
            continue;
        };
        match Screened::admit(item, *decision, policy.asks()) {
            Ok(item) => {
                result.counts.out();
                result.admitted.push(item);
            }
            Err((item, Decision::Removed)) => {
                result.counts.dropped(if reason.is_empty() { "removed" } else { reason });
                result.removed.push(item);
            }
            Err(_) => result.counts.review(),
        }
    }
    result
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
        match (state.as_deref(), reason) {
            (Some("kept"), _) => counts.out += count,
            (Some(_), Some(reason)) => *counts.dropped.entry(reason).or_default() += count,
            _ => counts.pending += count,
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
        let (category, sub_category) = taxonomy::pick((
            seed::draw(seed_value, "category", index.0),
            seed::draw(seed_value, "sub-category", index.0),
        ));
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
    mut rows: HashMap<UnitKey, Arc<ImageRow>>,
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

/// The pairs that these images should become, and the stage's counts.
fn plan_pairs(
    config: &SprintConfig,
    wanted: &[ImageUnit],
    admitted: Vec<Screened<Arc<ImageRow>>>,
    withheld: &HashSet<UnitKey>,
    existing: &HashSet<String>,
) -> (Vec<PairUnit>, Counts) {
    let mut counts = Counts::of(Stage::Pair);
    let admitted: HashMap<UnitKey, Screened<Arc<ImageRow>>> =
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
                if existing.contains(key.as_str()) {
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
