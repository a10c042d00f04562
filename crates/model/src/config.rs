//! `config.json`: which architecture, which labels, how scores come of logits.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The most labels. Those who sort into all of ImageNet's have 21,841.
const MOST_LABELS: usize = 100_000;

/// What `config.json` says that means something to every runtime.
#[derive(Debug, Clone)]
pub struct Config {
    /// `bert`, `distilbert`, `vit`…
    pub model_type: String,
    /// The most tokens that it reads; a few of them are special.
    pub max_position_embeddings: Option<usize>,
    /// What stands where a text is shorter than those beside it.
    pub pad_token_id: Option<u32>,
    /// The labels by their number.
    pub labels: Vec<String>,
    /// Each label is there or not by itself; else they share one whole.
    independent: bool,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    model_type: String,
    id2label: Option<BTreeMap<String, String>>,
    num_labels: Option<usize>,
    problem_type: Option<String>,
    max_position_embeddings: Option<usize>,
    pad_token_id: Option<u32>,
}

impl Config {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let count = written.id2label.as_ref().map_or(written.num_labels.unwrap_or(2), BTreeMap::len);
        if count == 0 {
            return Err("it names no labels".to_owned());
        }
        if count > MOST_LABELS {
            return Err(format!("{count} labels are more than {MOST_LABELS}"));
        }
        let label = |number: usize| match &written.id2label {
            Some(names) => names.get(&number.to_string()).cloned(),
            // What `transformers` calls them where nobody has.
            None => Some(format!("LABEL_{number}")),
        };
        let labels = (0..count).map(|number| label(number).ok_or(format!("`id2label` has no {number}")));
        let labels: Vec<String> = labels.collect::<Result<_, _>>()?;
        let independent =
            written.problem_type.as_deref() == Some("multi_label_classification") || labels.len() == 1;
        Ok(Self {
            model_type: written.model_type,
            max_position_embeddings: written.max_position_embeddings,
            pad_token_id: written.pad_token_id,
            labels,
            independent,
        })
    }

    /// The score of each label, between 0 and 1, of what the network gave for each.
    ///
    /// # Errors
    /// Where it gave another number of values, or one that is no number.
    pub fn scores(&self, logits: &[f32]) -> Result<BTreeMap<String, f32>, String> {
        if logits.len() != self.labels.len() {
            let (values, labels) = (logits.len(), self.labels.len());
            return Err(format!("the network gave {values} values for {labels} labels"));
        }
        if let Some(bad) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(format!("the network gave {bad} as a value"));
        }
        let scores: Vec<f32> = match self.independent {
            true => logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            false => softmax(logits),
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

    #[test]
    fn scores_add_up_to_one_unless_labels_are_independent() {
        let one = Config::parse(r#"{"id2label": {"0": "sfw", "1": "nsfw"}}"#).unwrap();
        let scores = one.scores(&[1.0, 3.0]).unwrap();
        assert!((scores["nsfw"] - 0.880_797).abs() < 1e-5 && (scores["sfw"] - 0.119_203).abs() < 1e-5);
        let several = r#"{"id2label": {"0": "a", "1": "b"}, "problem_type": "multi_label_classification"}"#;
        let several = Config::parse(several).unwrap();
        assert!((several.scores(&[0.0, 0.0]).unwrap()["a"] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_score_is_an_error() {
        let config = Config::parse(r#"{"id2label": {"0": "sfw", "1": "nsfw"}}"#).unwrap();
        assert!(config.scores(&[1.0]).unwrap_err().contains("1 values for 2 labels"));
        assert!(config.scores(&[f32::NAN, 1.0]).unwrap_err().contains("NaN"));
    }

    #[test]
    fn a_config_without_usable_labels_is_refused() {
        let why = |text: &str| Config::parse(text).unwrap_err();
        assert!(why(r#"{"id2label": {"0": "a", "2": "b"}}"#).contains("no 1"));
        assert!(why(r#"{"id2label": {}}"#).contains("no labels"));
        assert!(why(r#"{"num_labels": 0}"#).contains("no labels"));
        assert!(why(r#"{"num_labels": 9000000000}"#).contains("more than"));
        assert!(why("not json").contains("expected"));
        assert_eq!(Config::parse("{}").unwrap().labels, ["LABEL_0", "LABEL_1"]);
    }
}
