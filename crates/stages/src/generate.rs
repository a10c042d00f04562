//! Generate: one image per variant and model, with the same seed for all models of a variant.

use std::collections::HashMap;
use std::sync::Arc;

use diptych_core::config::ModelConfig;
use diptych_core::{ImageHash, Stage};
use diptych_engine::{ImageMaker, ImageRequest, MadeImage};
use diptych_store::images::ImageRow;
use diptych_store::variants::UnitState;

use crate::ctx::now;
use crate::engines;
use crate::flow::ImageUnit;
use crate::spending::Spending;
use crate::work::{self, Ended, Verdict};
use crate::{Ctx, Flow, Result};

struct Model {
    config: ModelConfig,
    maker: Arc<dyn ImageMaker>,
}

/// Makes the images that are pending.
///
/// # Errors
/// Where the store, the queue or an engine stops the run.
pub async fn run(ctx: &Ctx) -> Result<()> {
    let flow = Flow::load(ctx).await?;
    let pending: Vec<ImageUnit> = flow
        .images
        .into_iter()
        .filter(|unit| match &unit.row {
            None => true,
            Some(row) => ctx.retry_failed && row.state == UnitState::Failed,
        })
        .collect();
    let mut models = HashMap::new();
    let mut concurrency = 0;
    for config in &ctx.config.models {
        if pending.iter().any(|unit| unit.model == config.key) {
            let maker = engines::image_maker(ctx, config)?;
            concurrency += engines::concurrency(config);
            models.insert(config.key.clone(), Arc::new(Model { config: config.clone(), maker }));
        }
    }
    if ctx.config.models.iter().all(|model| model.engine == "rehearsal") {
        concurrency = std::thread::available_parallelism().map_or(2, usize::from);
    }
    let models = Arc::new(models);
    let spending = Spending::load(ctx).await?;
    let units = pending.into_iter().map(|unit| (unit.key.clone(), unit)).collect();
    let ctx_of_unit = ctx.clone();
    work::units(ctx, Stage::Generate, units, concurrency.max(1), move |unit: ImageUnit| {
        let (ctx, models, spending) = (ctx_of_unit.clone(), Arc::clone(&models), spending.clone());
        async move {
            match models.get(&unit.model) {
                Some(model) => make(&ctx, model, &spending, unit).await,
                None => Ok(Ended::Recorded),
            }
        }
    })
    .await
}

async fn make(ctx: &Ctx, model: &Model, spending: &Spending, unit: ImageUnit) -> Result<Ended> {
    let variant = &unit.variant.get().row;
    let request = ImageRequest {
        prompt: variant.text.clone(),
        category: Some(variant.category.clone()).filter(|category| !category.is_empty()),
        subject: Some(unit.variant.get().source.clone()),
        width: model.config.size.0,
        height: model.config.size.1,
        steps: model.config.steps,
        guidance: model.config.guidance.get(&variant.evolution).copied(),
        seed: unit.seed,
        prompt_index: variant.prompt.0,
        evolution: variant.evolution.as_str().to_owned(),
    };
    let price = model.config.price.unwrap_or(0.0);
    let (mut cost, mut attempt) = (0.0, 0);
    let outcome = loop {
        let reserve = spending.reserve(price)?;
        let error = match model.maker.make(&request).await {
            Ok(made) => {
                reserve.settle(price);
                cost += price;
                break Ok(made);
            }
            Err(error) => error,
        };
        match work::judge(error) {
            Verdict::Drop(reason) => break Err((UnitState::Dropped, format!("refused: {reason}"))),
            Verdict::Fail(reason) => {
                // Something came, and was paid for.
                reserve.settle(price);
                cost += price;
                if attempt == model.config.retries {
                    break Err((UnitState::Failed, reason));
                }
                attempt += 1;
            }
            Verdict::Later(message) => {
                tracing::warn!(model = unit.model, message, "call failed in passing");
                return Ok(Ended::Pending);
            }
            Verdict::Stop(error) => return Err(error),
        }
    };
    if let Err((state, reason)) = &outcome {
        tracing::warn!(model = unit.model, prompt = variant.prompt.0, ?state, reason, "no image");
    }
    let row = match outcome {
        // The bytes are on disk before the row that names them.
        Ok(made) => {
            let hash = ctx.blobs.put_image(made.bytes.clone()).await?;
            row(&unit, model, &request, Ok((hash, made)), cost)
        }
        Err((state, reason)) => row(&unit, model, &request, Err((state, reason)), cost),
    };
    ctx.store.record_image(&ctx.sprint, row).await?;
    Ok(Ended::Recorded)
}

fn row(
    unit: &ImageUnit,
    model: &Model,
    request: &ImageRequest,
    outcome: Result<(ImageHash, MadeImage), (UnitState, String)>,
    cost: f64,
) -> ImageRow {
    let variant = &unit.variant.get().row;
    let mut row = ImageRow {
        key: unit.key.clone(),
        variant: variant.key.clone(),
        prompt_index: variant.prompt,
        evolution: variant.evolution,
        model: unit.model.clone(),
        state: UnitState::Done,
        reason: String::new(),
        hash: ImageHash::from_text(""),
        format: String::new(),
        width: 0,
        height: 0,
        size: 0,
        provider: model.config.engine.clone(),
        model_name: model.config.name.clone(),
        revision: None,
        prompt: request.prompt.clone(),
        seed: request.seed.to_string(),
        steps: request.steps.map(i64::from),
        guidance: request.guidance,
        request_id: None,
        cost,
        created_at: now(),
    };
    match outcome {
        Ok((hash, made)) => {
            row.hash = hash;
            row.format = made.format.extension().to_owned();
            row.width = i64::from(made.width);
            row.height = i64::from(made.height);
            row.size = i64::try_from(made.bytes.len()).unwrap_or(i64::MAX);
            // What the provider calls the model that it ran says more than nothing.
            row.revision = made.revision.or(Some(made.model).filter(|model| *model != row.model_name));
            row.request_id = made.request_id;
            // No seed where the engine takes none: one that was not used would mislead.
            row.seed = made.seed.map_or_else(String::new, |seed| seed.to_string());
        }
        Err((state, reason)) => {
            row.state = state;
            row.reason = crate::enhance::short(&reason);
        }
    }
    row
}
