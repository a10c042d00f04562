//! A classifier of texts: tokens, a network, a score per label.

use std::sync::Arc;

use async_trait::async_trait;
use diptych_engine::{EngineError, Labels, TextClassifier};
use diptych_model::Config;
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

use crate::files::checked_version;
use crate::network::{self, Input, Network};
use crate::{Spec, read_config, setup};

/// The most tokens of a text that are read, where the model could read more.
const MOST_TOKENS: usize = 512;

/// So many texts go through the network together, ordered by length so that few are padded much.
const TOGETHER: usize = 8;

struct Loaded {
    tokenizer: Tokenizer,
    config: Config,
    network: Box<dyn Network>,
}

/// A classifier of texts.
pub(crate) struct TextModel {
    version: String,
    loaded: Arc<Loaded>,
}

impl TextModel {
    pub(crate) fn load(spec: &Spec) -> Result<Self, EngineError> {
        let config = read_config(&spec.folder)?;
        let path = spec.folder.join("tokenizer.json");
        let bad = |what: String| setup(format!("{}: {what}", path.display()));
        if !path.is_file() {
            return Err(bad("there is no tokenizer; export it with `tokenizer.save_pretrained`".to_owned()));
        }
        let mut tokenizer = Tokenizer::from_file(&path).map_err(|error| bad(error.to_string()))?;
        // RoBERTa and its kin keep as many places back as its padding token's number, and one.
        let kept_back = match config.model_type.as_str() {
            "roberta" | "xlm-roberta" => config.pad_token_id.unwrap_or(1) as usize + 1,
            _ => 0,
        };
        let places = config.max_position_embeddings.unwrap_or(MOST_TOKENS).saturating_sub(kept_back);
        let truncation =
            TruncationParams { max_length: places.clamp(1, MOST_TOKENS), ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| bad(error.to_string()))?;
        tokenizer.with_padding(None);
        let weights = network::weights(&spec.name, &spec.folder)?;
        let version = checked_version(&spec.name, &spec.folder, &weights)?;
        let network = network::load(&spec.name, &spec.folder, &weights, Some(&config))?;
        Ok(Self { version, loaded: Arc::new(Loaded { tokenizer, config, network }) })
    }
}

impl Loaded {
    fn classify(&self, texts: &[String]) -> Vec<Result<Labels, EngineError>> {
        let tokens: Vec<Result<Vec<u32>, EngineError>> = texts
            .iter()
            .map(|text| match self.tokenizer.encode_fast(text.as_str(), true) {
                Ok(encoding) => Ok(encoding.get_ids().to_vec()),
                Err(error) => Err(crate::unusable(format!("the tokenizer failed: {error}"))),
            })
            .collect();
        let mut order: Vec<usize> = (0..texts.len()).filter(|place| tokens[*place].is_ok()).collect();
        let length = |place: &usize| tokens[*place].as_ref().map_or(0, Vec::len);
        order.sort_by_key(|place| std::cmp::Reverse(length(place)));
        let scored: Vec<(usize, Result<Labels, EngineError>)> = order
            .par_chunks(TOGETHER)
            .flat_map_iter(|places| {
                let ids: Vec<&[u32]> =
                    places.iter().filter_map(|place| tokens[*place].as_deref().ok()).collect();
                let outcomes: Vec<Result<Labels, EngineError>> =
                    match network::rows(&*self.network, self.padded(&ids)) {
                        Ok(rows) => rows
                            .iter()
                            .map(|logits| self.config.scores(logits).map_err(crate::unusable))
                            .collect(),
                        Err(error) => vec![Err(error); places.len()],
                    };
                places.iter().copied().zip(outcomes).collect::<Vec<_>>()
            })
            .collect();
        let mut outcomes: Vec<Result<Labels, EngineError>> = tokens
            .into_iter()
            .map(|tokens| tokens.and_then(|_| Err(crate::unusable("the text was not classified"))))
            .collect();
        for (place, outcome) in scored {
            outcomes[place] = outcome;
        }
        outcomes
    }

    fn padded(&self, texts: &[&[u32]]) -> Input {
        let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or(0).max(1);
        let padding = self.config.pad_token_id.unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for text in texts {
            ids.extend_from_slice(text);
            ids.resize(ids.len() + longest - text.len(), padding);
            mask.resize(mask.len() + text.len(), 1);
            mask.resize(mask.len() + longest - text.len(), 0);
        }
        Input::Tokens { shape: [texts.len(), longest], ids, mask }
    }
}

#[async_trait]
impl TextClassifier for TextModel {
    async fn classify(&self, texts: Vec<String>) -> Vec<Result<Labels, EngineError>> {
        let (count, loaded) = (texts.len(), Arc::clone(&self.loaded));
        let done = tokio::task::spawn_blocking(move || loaded.classify(&texts)).await;
        done.unwrap_or_else(|_| vec![Err(crate::unusable("the classifier crashed")); count])
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn labels(&self) -> Option<Vec<String>> {
        Some(self.loaded.config.labels.clone())
    }

    fn together(&self) -> usize {
        256
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok(format!("loaded, runs on {}", self.loaded.network.runtime()))
    }
}
