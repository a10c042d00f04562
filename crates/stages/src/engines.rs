//! From the configuration to engines.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diptych_core::config::{ChatConfig, ModelConfig};
use diptych_engine::{Chat, ChatSettings, EngineError, ImageMaker, ImageSettings, Limits};
use tokio_util::sync::CancellationToken;

use crate::{Ctx, Result, StageError};

/// How many images one remote engine makes at once, where the configuration does not say.
const REMOTE_CONCURRENCY: usize = 4;

fn setup(error: &EngineError) -> StageError {
    StageError::Engine(error.to_string())
}

/// The chat model of `[chat.NAME]`, paced as configured.
///
/// # Errors
/// Where it cannot be used as it is configured.
pub fn chat(name: &str, config: &ChatConfig, stop: &CancellationToken) -> Result<Arc<dyn Chat>> {
    let mut settings = chat_settings(name, config);
    settings.limits.stop = stop.clone();
    diptych_engine::chat(&settings).map_err(|error| setup(&error))
}

/// The settings of `[chat.NAME]`.
pub fn chat_settings(name: &str, config: &ChatConfig) -> ChatSettings {
    ChatSettings {
        name: name.to_owned(),
        url: config.url.clone(),
        model: config.model.clone(),
        api_key_env: config.api_key_env.clone(),
        limits: Limits {
            concurrency: config.concurrency,
            requests_per_minute: config.requests_per_minute,
            timeout: Duration::from_secs(config.timeout_s),
            retries: config.retries,
            stop: CancellationToken::new(),
        },
    }
}

/// The image model of `[[models]]`, paced as configured.
///
/// # Errors
/// Where it cannot be used as it is configured.
pub fn image_maker(ctx: &Ctx, config: &ModelConfig) -> Result<Arc<dyn ImageMaker>> {
    let mut settings = image_settings(&ctx.folder, config);
    settings.limits.stop = ctx.stop.clone();
    diptych_engine::image_maker(&settings).map_err(|error| setup(&error))
}

/// The settings of one of `[[models]]` of the sprint in this folder.
pub fn image_settings(folder: &Path, config: &ModelConfig) -> ImageSettings {
    let url = match (&config.url, config.engine.as_str()) {
        (Some(images), "folder") => Some(folder.join(images).to_string_lossy().into_owned()),
        (url, _) => url.clone(),
    };
    ImageSettings {
        key: config.key.clone(),
        engine: config.engine.clone(),
        url,
        model: config.name.clone(),
        api_key_env: config.api_key_env.clone(),
        limits: Limits {
            concurrency: concurrency(config),
            requests_per_minute: config.requests_per_minute,
            timeout: Duration::from_secs(config.timeout_s),
            retries: config.retries,
            stop: CancellationToken::new(),
        },
    }
}

/// How many images of this model are made at once.
pub fn concurrency(config: &ModelConfig) -> usize {
    config.concurrency.unwrap_or_else(|| match config.engine.as_str() {
        // The embedded engine is bound by the processor.
        "rehearsal" => std::thread::available_parallelism().map_or(2, usize::from),
        _ => REMOTE_CONCURRENCY,
    })
}
