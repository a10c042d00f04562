//! Engines: the outside minds that write and draw, behind one trait each.
//!
//! A stage sees [`Chat`] and [`ImageMaker`] and nothing of HTTP, keys, rate limits or formats.
//! `remote/` speaks to servers, `embedded/` needs none, [`fake`] is for tests. What [`chat`] and
//! [`image_maker`] return is already paced (see [`Pace`]): callers just call, from as many tasks as they
//! like. What an outcome means for the unit of work is said by the four kinds of [`EngineError`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

mod classify;
pub mod download;
mod embedded;
pub mod fake;
mod pace;
mod remote;
mod settings;
pub mod tls;

pub use classify::{ImageClassifier, Labels, TextClassifier};
pub use diptych_picture::Format;
pub use diptych_reply::EngineError;
pub use pace::{Pace, Paced};
pub use remote::classify::JUDGED;
pub use settings::{ChatSettings, ClassifierSettings, ImageSettings, Limits};

/// A model that answers a text with a text.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Asks once.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError>;

    /// Tries, for no money, whether the engine can be reached with its settings; one sentence on what it found.
    async fn probe(&self) -> Result<String, EngineError>;
}

/// A model that draws a picture of a text.
#[async_trait]
pub trait ImageMaker: Send + Sync {
    /// Draws once. What comes back decodes, within the limits of `diptych_picture`.
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError>;

    /// Tries, for no money, whether the engine can be reached with its settings; one sentence on what it found.
    async fn probe(&self) -> Result<String, EngineError>;
}

/// A question to a [`Chat`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// What the model is told about its task.
    pub system: Option<String>,
    /// What the user says.
    pub user: String,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// The sampling temperature; the server's own where absent.
    pub temperature: Option<f64>,
    /// The seed, where the server takes one.
    pub seed: Option<u64>,
}

/// An answer of a [`Chat`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    /// The text; empty where the model said nothing.
    pub text: String,
    /// What it cost in tokens.
    pub usage: Usage,
    /// Why it ended: `stop`, or `length` where it was cut at `max_tokens`, among others.
    pub finish_reason: Option<String>,
    /// The model's own words for why it will not answer, where the server tells a refusal from an answer.
    pub refusal: Option<String>,
    /// The model that answered, as the server names it.
    pub model: String,
    /// The provider's name for the call.
    pub request_id: Option<String>,
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Whether the server did not say, so that a third of the bytes stands here instead.
    pub estimated: bool,
}

/// What an [`ImageMaker`] is to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRequest {
    /// The text, as sent.
    pub prompt: String,
    /// The source prompt, without the words of style that an evolution adds; rehearsal draws what it names.
    pub subject: Option<String>,
    /// The prompt's category; rehearsal draws each in a manner of its own.
    pub category: Option<String>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Denoising steps; the server's own number where absent.
    pub steps: Option<u32>,
    /// Guidance scale; the server's own where absent.
    pub guidance: Option<f64>,
    /// The seed. Servers differ in what they take, so all are sent its lowest 31 bits.
    pub seed: u64,
    /// The prompt's index; the engine `folder` finds its file by it.
    pub prompt_index: i64,
    /// The variant's evolution; likewise.
    pub evolution: String,
}

/// A picture that an [`ImageMaker`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeImage {
    /// The file, exactly as it came.
    pub bytes: Bytes,
    /// Its format, told by its bytes.
    pub format: Format,
    /// Its width in pixels (not always the one that was asked for).
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// The engine's name: `openai`, `rehearsal`, …
    pub provider: &'static str,
    /// The model, as the provider names it where it does.
    pub model: String,
    /// The model's revision or hash, where the provider tells it.
    pub revision: Option<String>,
    /// The provider's name for the call.
    pub request_id: Option<String>,
    /// The seed that was used: as the provider reports it, else as it was sent; absent where the
    /// provider takes none.
    pub seed: Option<u64>,
}

/// The chat engine of these settings, paced.
///
/// # Errors
/// [`EngineError::Setup`] where the address is none or the key's environment variable is missing.
pub fn chat(settings: &ChatSettings) -> Result<Arc<dyn Chat>, EngineError> {
    let engine = remote::chat::OpenAiChat::new(settings)?;
    Ok(Arc::new(Paced::new(settings.who(), engine, settings.limits.clone())))
}

/// The image engine of these settings, paced.
///
/// # Errors
/// [`EngineError::Setup`] where the engine's name is unknown, the address is none, the key's environment
/// variable is missing, or a rehearsal goes by another model's name.
pub fn image_maker(settings: &ImageSettings) -> Result<Arc<dyn ImageMaker>, EngineError> {
    fn paced<E: ImageMaker + 'static>(engine: E, settings: &ImageSettings) -> Arc<dyn ImageMaker> {
        Arc::new(Paced::new(settings.who(), engine, settings.limits.clone()))
    }
    Ok(match settings.engine.as_str() {
        "rehearsal" => paced(embedded::rehearsal::Rehearsal::new(settings)?, settings),
        "folder" => paced(embedded::folder::Folder::new(settings)?, settings),
        "openai" => paced(remote::openai_images::OpenAiImages::new(settings)?, settings),
        "huggingface" => paced(remote::huggingface::HuggingFace::new(settings)?, settings),
        "fal" => paced(remote::fal::Fal::new(settings)?, settings),
        "a1111" => paced(remote::a1111::A1111::new(settings)?, settings),
        other => {
            return Err(EngineError::setup(format!(
                "model `{}`: there is no image engine `{other}` (known: rehearsal, openai, huggingface, fal, a1111, folder)",
                settings.key
            )));
        }
    })
}

/// The classifier of texts of these settings, paced.
///
/// # Errors
/// [`EngineError::Setup`] where the engine's name is unknown, the address is none or the key's environment
/// variable is missing.
pub fn text_classifier(settings: &ClassifierSettings) -> Result<Arc<dyn TextClassifier>, EngineError> {
    Ok(Arc::new(remote::classify::Remote::new(settings)?))
}

/// The classifier of images of these settings, paced.
///
/// # Errors
/// As [`text_classifier`].
pub fn image_classifier(settings: &ClassifierSettings) -> Result<Arc<dyn ImageClassifier>, EngineError> {
    Ok(Arc::new(remote::classify::Remote::new(settings)?))
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Checks that bytes are a whole picture and puts them into a [`MadeImage`] without provenance but its
/// provider and model.
fn made(who: &str, provider: &'static str, model: &str, bytes: Bytes) -> Result<MadeImage, EngineError> {
    let info = diptych_picture::inspect(&bytes, &diptych_picture::Limits::default())
        .map_err(|error| EngineError::Unusable { message: format!("{who} sent no usable image: {error}") })?;
    Ok(MadeImage {
        bytes,
        format: info.format,
        width: info.width,
        height: info.height,
        provider,
        model: model.to_owned(),
        revision: None,
        request_id: None,
        seed: None,
    })
}
