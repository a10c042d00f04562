//! Pair: puts two images of a variant side by side, and decides how both are shown.

use diptych_core::Stage;
use diptych_core::seed;
use diptych_core::variant::row_id;
use diptych_store::Span;
use diptych_store::pairs::{Logs, NewPair, PairSide, PairsSet};

use crate::ctx::now;
use crate::flow::{self, PairUnit};
use crate::open::{self, Promise};
use crate::{Ctx, Flow, Result, StageError};

/// The longest side of the canvas on which people see images, in pixels.
const CANVAS: i64 = 1024;

/// Makes the wanted pairs the sprint's pairs.
///
/// # Errors
/// Where the store fails.
pub async fn run(ctx: &Ctx) -> Result<()> {
    ctx.progress.begin(Stage::Pair, None);
    ctx.progress.advance(set(ctx).await?);
    ctx.store.order_line(&ctx.sprint).await?;
    open::note(ctx, &Promise::of(&ctx.config)).await
}

/// Makes the wanted pairs the sprint's pairs, and says how many there are.
///
/// # Errors
/// Where the store fails.
pub async fn set(ctx: &Ctx) -> Result<u64> {
    let mut pairs = 0;
    for span in flow::spans(ctx).await? {
        pairs += set_span(ctx, span).await?;
    }
    Ok(pairs)
}

/// The same for a span of prompts.
///
/// # Errors
/// Where the store fails.
pub async fn set_span(ctx: &Ctx, span: Span) -> Result<u64> {
    loop {
        let flow = Flow::load_span(ctx, span.clone()).await?;
        let pairs = flow.pairs.iter().map(|unit| new_pair(ctx, unit)).collect();
        // Where somebody has reviewed something meanwhile, all of it is planned again.
        if set_pairs(ctx, &span, pairs, &flow).await? {
            return Ok(flow.pairs.len() as u64);
        }
    }
}

/// Takes those pairs of these prompts from everybody that are not wanted any more, adds none, and gives the flow
/// that says so.
///
/// # Errors
/// Where the store fails.
pub async fn withdraw_unwanted(ctx: &Ctx, span: Span) -> Result<Flow> {
    loop {
        let flow = Flow::load_span(ctx, span.clone()).await?;
        let wanted = flow.pairs.iter().filter(|unit| flow.standing.contains(unit.key.as_str()));
        let pairs: Vec<NewPair> = wanted.map(|unit| new_pair(ctx, unit)).collect();
        if pairs.len() == flow.standing.len() || set_pairs(ctx, &span, pairs, &flow).await? {
            return Ok(flow);
        }
    }
}

/// Whether these are the pairs now; not where somebody has reviewed something since they were planned.
async fn set_pairs(ctx: &Ctx, span: &Span, pairs: Vec<NewPair>, flow: &Flow) -> Result<bool> {
    let planned = Logs { reviews: flow.reviews, settings: ctx.settings };
    let overlap = ctx.config.annotate.overlap;
    match ctx.store.set_pairs(&ctx.sprint, span.clone(), pairs, overlap, planned, now()).await? {
        PairsSet::Done => Ok(true),
        PairsSet::Reviewed => Ok(false),
        PairsSet::SettingsChanged => Err(StageError::SettingsChanged),
    }
}

fn new_pair(ctx: &Ctx, unit: &PairUnit) -> NewPair {
    let several = ctx.config.model_pairs().len() > 1;
    let variant = &unit.variant.get().row;
    let (first, second) = (unit.first.get(), unit.second.get());
    let models = several.then_some((first.model.as_str(), second.model.as_str()));
    let side = |image: &diptych_store::images::ImageBrief| PairSide {
        model: image.model.clone(),
        image_key: image.key.clone(),
        image: image.hash.clone(),
        picture: random_name(),
    };
    NewPair {
        key: unit.key.clone(),
        row_id: row_id(variant.prompt, variant.evolution, models),
        prompt_index: variant.prompt,
        evolution: variant.evolution,
        category: variant.category.clone(),
        sub_category: variant.sub_category.clone(),
        variant: variant.key.clone(),
        prompt: variant.text.clone(),
        split: unit.variant.get().split,
        first: side(first),
        second: side(second),
        canvas: canvas(first.width.max(second.width), first.height.max(second.height)),
        draw: (seed::draw(ctx.config.enhance.seed, unit.key.as_str(), 0) >> 1) as i64,
    }
}

/// The canvas that holds both images, no side longer than [`CANVAS`].
fn canvas(width: i64, height: i64) -> (u32, u32) {
    let longest = width.max(height).max(1);
    let scaled = |side: i64| {
        let side = if longest > CANVAS { side * CANVAS / longest } else { side };
        u32::try_from(side.max(1)).unwrap_or(1)
    };
    (scaled(width), scaled(height))
}

/// 128 random bits: a name that tells nothing.
fn random_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canvas_keeps_its_shape_and_its_bound() {
        assert_eq!(canvas(768, 768), (768, 768));
        assert_eq!(canvas(2048, 1024), (1024, 512));
        assert_eq!(canvas(1, 5000), (1, 1024));
        assert_eq!(canvas(0, 0), (1, 1));
    }
}
