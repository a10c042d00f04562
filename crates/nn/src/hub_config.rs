//! `config.json` of a Hugging Face model: which architecture, which labels, how scores come of logits.

use std::collections::BTreeMap;
use std::path::Path;

use diptych_engine::{EngineError, Labels};
use serde::Deserialize;

use crate::{setup, unusable};

/// The keys of `config.json` that mean something to every runtime.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HubConfig {
    /// `bert`, `distilbert`, `vit`…
    #[serde(default)]
    pub(crate) model_type: String,
    #[serde(default)]
    id2label: Option<BTreeMap<String, String>>,
    #[serde(default)]
    num_labels: Option<usize>,
    #[serde(default)]
    problem_type: Option<String>,
    /// The most tokens that it reads; a few of them are special.
    #[serde(default)]
    pub(crate) max_position_embeddings: Option<usize>,
    #[serde(default)]
    pub(crate) pad_token_id: Option<u32>,
    /// The labels by their number.
    #[serde(skip)]
    pub(crate) labels: Vec<String>,
}

impl HubConfig {
    pub(crate) fn read(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join("config.json");
        let bad = |what: String| setup(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
        let mut config: Self = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        config.labels = match &config.id2label {
            Some(names) => {
                let mut labels = Vec::new();
                for number in 0..names.len() {
                    let name = names.get(&number.to_string());
                    labels.push(name.ok_or_else(|| bad(format!("`id2label` has no {number}")))?.clone());
                }
                labels
            }
            // What `transformers` calls them where nobody has.
            None => (0..config.num_labels.unwrap_or(2)).map(|number| format!("LABEL_{number}")).collect(),
        };
        if config.labels.is_empty() {
            return Err(bad("it names no labels".to_owned()));
        }
        Ok(config)
    }

    /// The score of each label.
    pub(crate) fn scores(&self, logits: &[f32]) -> Result<Labels, EngineError> {
        if logits.len() != self.labels.len() {
            return Err(unusable(format!(
                "the network gave {} values for {} labels",
                logits.len(),
                self.labels.len()
            )));
        }
        if let Some(bad) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(unusable(format!("the network gave {bad} as a value")));
        }
        let several = self.problem_type.as_deref() == Some("multi_label_classification") || logits.len() == 1;
        let scores: Vec<f32> = if several {
            logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
        } else {
            softmax(logits)
        };
        Ok(self.labels.iter().cloned().zip(scores).collect())
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<HubConfig, EngineError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), json).unwrap();
        HubConfig::read(folder.path())
    }

    #[test]
    fn scores_add_up_to_one_unless_labels_are_independent() {
        let one = config(r#"{"id2label": {"0": "sfw", "1": "nsfw"}}"#).unwrap();
        let scores = one.scores(&[1.0, 3.0]).unwrap();
        assert!((scores["nsfw"] - 0.880_797).abs() < 1e-5 && (scores["sfw"] - 0.119_203).abs() < 1e-5);
        let several =
            config(r#"{"id2label": {"0": "a", "1": "b"}, "problem_type": "multi_label_classification"}"#)
                .unwrap();
        assert!((several.scores(&[0.0, 0.0]).unwrap()["a"] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_score_is_an_error() {
        let config = config(r#"{"id2label": {"0": "sfw", "1": "nsfw"}}"#).unwrap();
        assert!(config.scores(&[1.0]).unwrap_err().to_string().contains("1 values for 2 labels"));
        assert!(config.scores(&[f32::NAN, 1.0]).unwrap_err().to_string().contains("NaN"));
    }

    #[test]
    fn a_config_without_usable_labels_is_refused() {
        assert!(config(r#"{"id2label": {"0": "a", "2": "b"}}"#).unwrap_err().to_string().contains("no 1"));
        assert!(config("not json").is_err());
        assert_eq!(config("{}").unwrap().labels, ["LABEL_0", "LABEL_1"]);
    }
}
