//! A network, whatever runs it: numbers in, a row of logits per item out.

use std::path::{Path, PathBuf};

use diptych_engine::EngineError;
use diptych_model::Config;

use crate::setup;

#[cfg(feature = "candle")]
mod candle;
mod onnx;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;

/// What a network is given for several items at once.
pub(crate) enum Input {
    /// `[items, …]` values.
    Pixels { shape: [usize; 4], values: Vec<f32> },
    /// `[items, tokens]` each: what stands there, and whether it counts.
    Tokens { shape: [usize; 2], ids: Vec<u32>, mask: Vec<u32> },
}

impl Input {
    fn items(&self) -> usize {
        match self {
            Self::Pixels { shape, .. } => shape[0],
            Self::Tokens { shape, .. } => shape[0],
        }
    }
}

/// A loaded network.
pub(crate) trait Network: Send + Sync {
    /// The logits, `[items, labels]`, and how many labels there are.
    fn run(&self, input: Input) -> Result<(Vec<f32>, usize), String>;

    /// Which runtime it is, for people.
    fn runtime(&self) -> &'static str;
}

/// The logits of each item, or the same complaint about all of them.
pub(crate) fn rows(network: &dyn Network, input: Input) -> Result<Vec<Vec<f32>>, EngineError> {
    let items = input.items();
    let (logits, labels) = network
        .run(input)
        .map_err(|what| crate::unusable(format!("{} failed: {what}", network.runtime())))?;
    if labels == 0 || logits.len() != items * labels {
        return Err(crate::unusable(format!(
            "{} gave {} values for {items} items",
            network.runtime(),
            logits.len()
        )));
    }
    Ok(logits.chunks_exact(labels).map(<[f32]>::to_vec).collect())
}

/// The file that holds a model's weights: ONNX before safetensors, which not every build can run.
pub(crate) fn weights(name: &str, folder: &Path) -> Result<PathBuf, EngineError> {
    let files = ["open-nsfw.onnx", "onnx/model.onnx", "model.onnx", "model.safetensors"];
    files.into_iter().map(|file| folder.join(file)).find(|path| path.is_file()).ok_or_else(|| {
        let bring = match crate::known(name) {
            Some(_) => format!("; `diptych models fetch {name}` brings them"),
            None => String::new(),
        };
        setup(format!("{name}: {} holds neither model.onnx nor model.safetensors{bring}", folder.display()))
    })
}

/// The network of these weights.
pub(crate) fn load(
    name: &str,
    folder: &Path,
    weights: &Path,
    config: Option<&Config>,
) -> Result<Box<dyn Network>, EngineError> {
    if weights.extension().is_some_and(|ending| ending == "onnx") {
        return load_onnx(weights);
    }
    #[cfg(feature = "candle")]
    if let Some(config) = config {
        return candle::load(folder, weights, config);
    }
    let _ = folder;
    Err(setup(format!(
        "{name}: {} is {}; this program was built without the feature `candle`, which runs it (or put an ONNX export beside it as model.onnx)",
        weights.display(),
        config.map_or("a safetensors file", |config| config.model_type.as_str())
    )))
}

#[cfg(feature = "onnxruntime")]
fn load_onnx(path: &Path) -> Result<Box<dyn Network>, EngineError> {
    // The user's library where there is one, the built-in runtime where not.
    match onnxruntime::available() {
        true => onnxruntime::load(path),
        false => onnx::load(path),
    }
}

#[cfg(not(feature = "onnxruntime"))]
fn load_onnx(path: &Path) -> Result<Box<dyn Network>, EngineError> {
    onnx::load(path)
}
