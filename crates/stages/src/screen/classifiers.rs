//! From the names in `[screen]` to classifiers: the embedded lexicon, the known models, and the ones of
//! `[classifiers.NAME]`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diptych_core::config::{ClassifierConfig, ClassifierUse, SprintConfig};
use diptych_engine::{ClassifierSettings, EngineError, ImageClassifier, Labels, Limits, TextClassifier};
use diptych_text::lexicon;
use tokio_util::sync::CancellationToken;

use super::Use;

/// The embedded word list.
pub const LEXICON: &str = "lexicon";

/// Raised whenever the lexicon would decide otherwise, so that it is asked again.
const LEXICON_VERSION: u32 = 1;

/// The lexicon's only label.
const LEXICON_LABEL: &str = "lexicon";

/// How a listed classifier is used: its version is told without loading it.
pub(super) fn resolve(config: &SprintConfig, folder: &Path, listed: &ClassifierUse) -> Use {
    let name = listed.name.clone();
    let known = diptych_nn::known(&name);
    let own = config.classifiers.get(&name);
    let (threshold, positive, version, labels) = if name == LEXICON {
        let label = vec![LEXICON_LABEL.to_owned()];
        (0.5, label.clone(), Ok(format!("{LEXICON}@{LEXICON_VERSION}")), Some(label))
    } else if let Some(known) = known {
        let positive = known.positive.iter().map(|label| (*label).to_owned()).collect();
        let labels = match known.labels {
            [] => diptych_nn::find(known)
                .ok()
                .flatten()
                .and_then(|found| diptych_nn::labels_of_folder(&found.folder).ok()),
            labels => Some(labels.iter().map(|label| (*label).to_owned()).collect()),
        };
        (known.threshold, positive, version_of_known(known), labels)
    } else if let Some(own) = own {
        let (version, labels) = match own.engine.as_str() {
            "folder" => {
                let folder = folder.join(own.url.as_deref().unwrap_or_default());
                let version =
                    diptych_nn::version_of_folder(&name, &folder).map_err(|error| error.to_string());
                (version, diptych_nn::labels_of_folder(&folder).ok())
            }
            "chat" => {
                (Ok(settings(&name, own).version()), Some(diptych_engine::JUDGED.map(str::to_owned).to_vec()))
            }
            _ => (Ok(settings(&name, own).version()), None),
        };
        (own.threshold, own.positive.clone(), version, labels)
    } else {
        // The configuration is refused before this; nothing is let through all the same.
        (0.0, Vec::new(), Err("there is no such classifier".to_owned()), None)
    };
    let every_label = listed.positive.is_some() || own.is_some();
    let positive = listed.positive.clone().unwrap_or(positive);
    let refusal = labels.and_then(|labels| unknown_labels(&positive, every_label, &labels));
    Use {
        name,
        threshold: listed.threshold.unwrap_or(threshold),
        positive,
        every_label,
        refused: refusal.is_some(),
        version: match refusal {
            Some(refusal) => Err(refusal),
            None => version,
        },
        newest: None,
    }
}

/// Why these labels cannot be looked for in what a classifier says, where they cannot.
pub(super) fn unknown_labels(positive: &[String], every: bool, labels: &[String]) -> Option<String> {
    let unknown: Vec<&str> =
        positive.iter().filter(|label| !labels.contains(label)).map(String::as_str).collect();
    let bad =
        if every { !unknown.is_empty() } else { unknown.len() == positive.len() && !positive.is_empty() };
    bad.then(|| {
        format!(
            "it has no label `{}`; its labels are {}: change `positive`",
            unknown.join("`, `"),
            labels.join(", ")
        )
    })
}

fn version_of_known(known: &diptych_nn::Known) -> Result<String, String> {
    let found = diptych_nn::find(known).map_err(|error| error.to_string())?;
    let Some(found) = found else { return Err(format!("`diptych models fetch {}` brings it", known.name)) };
    diptych_nn::version_of_folder(known.name, &found.folder).map_err(|error| error.to_string())
}

fn settings(name: &str, own: &ClassifierConfig) -> ClassifierSettings {
    ClassifierSettings {
        name: name.to_owned(),
        engine: own.engine.clone(),
        url: own.url.clone(),
        model: own.model.clone(),
        api_key_env: own.api_key_env.clone(),
        limits: Limits {
            concurrency: own.concurrency,
            requests_per_minute: own.requests_per_minute,
            timeout: Duration::from_secs(own.timeout_s),
            retries: own.retries,
            stop: CancellationToken::new(),
        },
    }
}

/// Where a classifier's model files lie, where it has some.
fn spec(config: &SprintConfig, folder: &Path, asked: &Use) -> Result<Option<diptych_nn::Spec>, EngineError> {
    if let Some(known) = diptych_nn::known(&asked.name) {
        let found = diptych_nn::find(known)?.ok_or_else(|| EngineError::Setup {
            message: format!("{0} is missing: `diptych models fetch {0}` brings it", asked.name),
        })?;
        let (name, folder, recipe) = (asked.name.clone(), found.folder, known.recipe);
        return Ok(Some(diptych_nn::Spec { name, folder, recipe }));
    }
    Ok(match config.classifiers.get(&asked.name) {
        Some(own) if own.engine == "folder" => Some(diptych_nn::Spec {
            name: asked.name.clone(),
            folder: folder.join(own.url.as_deref().unwrap_or_default()),
            recipe: diptych_nn::Recipe::HuggingFace,
        }),
        _ => None,
    })
}

/// Reading hundreds of megabytes is no work for a thread that others wait on.
async fn load<T: Send + 'static>(
    load: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(load).await.unwrap_or_else(|_| {
        Err(EngineError::Setup { message: "the program crashed on its model files".to_owned() })
    })
}

fn remote_settings(
    config: &SprintConfig,
    stop: &CancellationToken,
    asked: &Use,
) -> Result<ClassifierSettings, EngineError> {
    let own = config
        .classifiers
        .get(&asked.name)
        .ok_or_else(|| EngineError::Setup { message: format!("there is no classifier `{}`", asked.name) })?;
    let mut settings = settings(&asked.name, own);
    settings.limits.stop = stop.clone();
    Ok(settings)
}

/// How many calls a classifier behind a network takes at once; none for one that runs in this process.
pub(super) fn calls_at_once(config: &SprintConfig, asked: &Use) -> Option<usize> {
    let own = config.classifiers.get(&asked.name).filter(|own| own.engine != "folder")?;
    Some(own.concurrency.max(1))
}

/// A classifier of texts, ready to be asked.
///
/// # Errors
/// Where it cannot be used as it is configured, or its files are missing or damaged.
pub async fn text_classifier(
    config: &SprintConfig,
    folder: &Path,
    stop: &CancellationToken,
    asked: &Use,
) -> Result<Arc<dyn TextClassifier>, EngineError> {
    if asked.name == LEXICON {
        return Ok(Arc::new(Lexicon { version: format!("{LEXICON}@{LEXICON_VERSION}") }));
    }
    match spec(config, folder, asked)? {
        Some(spec) => load(move || diptych_nn::load_text(&spec)).await,
        None => diptych_engine::text_classifier(&remote_settings(config, stop, asked)?),
    }
}

/// A classifier of images, ready to be asked.
///
/// # Errors
/// As [`text_classifier`].
pub async fn image_classifier(
    config: &SprintConfig,
    folder: &Path,
    stop: &CancellationToken,
    asked: &Use,
) -> Result<Arc<dyn ImageClassifier>, EngineError> {
    match spec(config, folder, asked)? {
        Some(spec) => load(move || diptych_nn::load_image(&spec)).await,
        None => diptych_engine::image_classifier(&remote_settings(config, stop, asked)?),
    }
}

/// The words that the lexicon has found, for people who wonder.
pub(super) fn lexicon_detail(text: &str) -> String {
    serde_json::json!({"words": lexicon::screen(text).words}).to_string()
}

/// The embedded word list as a classifier like any other.
struct Lexicon {
    version: String,
}

#[async_trait]
impl TextClassifier for Lexicon {
    async fn classify(&self, texts: Vec<String>) -> Vec<Result<Labels, EngineError>> {
        let count = texts.len();
        let done = tokio::task::spawn_blocking(move || {
            use rayon::prelude::*;
            let score =
                |text: &String| Ok(Labels::from([(LEXICON_LABEL.to_owned(), lexicon::screen(text).score)]));
            texts.par_iter().map(score).collect::<Vec<_>>()
        });
        let crashed = || Err(EngineError::Unusable { message: "the lexicon crashed".to_owned() });
        done.await.unwrap_or_else(|_| vec![crashed(); count])
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn labels(&self) -> Option<Vec<String>> {
        Some(vec![LEXICON_LABEL.to_owned()])
    }

    fn together(&self) -> usize {
        10_000
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok("embedded, always there".to_owned())
    }
}
