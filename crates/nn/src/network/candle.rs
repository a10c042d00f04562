//! Safetensors on candle, by the architecture that `config.json` names.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module as _, VarBuilder, linear};
use candle_transformers::models::{bert, debertav2, vit, xlm_roberta};
use diptych_engine::EngineError;
use diptych_model::Config;
use serde::de::DeserializeOwned;

use super::{Input, Network};
use crate::setup;

enum Model {
    /// BERT, and DistilBERT as one without segments and pooling.
    Bert {
        encoder: bert::BertModel,
        head: Linear,
        classifier: Linear,
        distilled: bool,
    },
    Roberta(xlm_roberta::XLMRobertaForSequenceClassification),
    Deberta(debertav2::DebertaV2SeqClassificationModel),
    Vit(vit::Model),
}

struct Candle(Model);

/// Reads the weights into memory and builds the network around them.
pub(super) fn load(
    folder: &Path,
    weights: &Path,
    config: &Config,
) -> std::result::Result<Box<dyn Network>, EngineError> {
    let bad = |what: String| setup(format!("{}: {what}", weights.display()));
    let tensors = candle_core::safetensors::load(weights, &Device::Cpu)
        .map_err(|error| bad(format!("this is no whole safetensors file ({error}); fetch it again")))?;
    let model = build(folder, config, tensors).map_err(|error| {
        bad(format!("these are not the weights of a `{}` classifier: {error}", config.model_type))
    })?;
    Ok(Box::new(Candle(model)))
}

fn read<T: DeserializeOwned>(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) -> Result<T> {
    let text = std::fs::read(folder.join("config.json"))?;
    let mut value = serde_json::from_slice(&text).map_err(candle_core::Error::wrap)?;
    change(&mut value);
    serde_json::from_value(value).map_err(candle_core::Error::wrap)
}

fn build(folder: &Path, config: &Config, tensors: HashMap<String, Tensor>) -> Result<Model> {
    let labels = config.labels.len();
    let weights = |tensors| VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    Ok(match config.model_type.as_str() {
        "bert" => {
            let own: bert::Config = read(folder, |_| {})?;
            let weights = weights(tensors);
            Model::Bert {
                encoder: bert::BertModel::load(weights.pp("bert"), &own)?,
                head: linear(own.hidden_size, own.hidden_size, weights.pp("bert.pooler.dense"))?,
                classifier: linear(own.hidden_size, labels, weights.pp("classifier"))?,
                distilled: false,
            }
        }
        "distilbert" => {
            let own: bert::Config = read(folder, as_bert)?;
            let weights = weights(tensors_as_bert(tensors, own.hidden_size)?);
            Model::Bert {
                encoder: bert::BertModel::load(weights.pp("bert"), &own)?,
                head: linear(own.hidden_size, own.hidden_size, weights.pp("pre_classifier"))?,
                classifier: linear(own.hidden_size, labels, weights.pp("classifier"))?,
                distilled: true,
            }
        }
        "roberta" | "xlm-roberta" => {
            let own: xlm_roberta::Config = read(folder, |value| {
                if value["position_embedding_type"].is_null() {
                    value["position_embedding_type"] = "absolute".into();
                }
            })?;
            Model::Roberta(xlm_roberta::XLMRobertaForSequenceClassification::new(
                labels,
                &own,
                weights(tensors),
            )?)
        }
        "deberta-v2" => {
            let own: debertav2::Config = read(folder, |_| {})?;
            let weights = weights(tensors).set_prefix("deberta");
            Model::Deberta(debertav2::DebertaV2SeqClassificationModel::load(weights, &own, None)?)
        }
        "vit" => {
            let own: vit::Config = read(folder, |value| {
                for (key, usual) in [("num_channels", 3.into()), ("qkv_bias", true.into())] {
                    if value[key].is_null() {
                        value[key] = usual;
                    }
                }
            })?;
            Model::Vit(vit::Model::new(&own, labels, weights(tensors))?)
        }
        other => candle_core::bail!(
            "the architecture `{other}` is none of bert, distilbert, roberta, xlm-roberta, deberta-v2, vit"
        ),
    })
}

/// DistilBERT's configuration in BERT's words. (candle's own DistilBERT takes an approximation of the
/// activation that the model was not trained with.)
fn as_bert(value: &mut serde_json::Value) {
    for (from, to) in [
        ("dim", "hidden_size"),
        ("n_layers", "num_hidden_layers"),
        ("n_heads", "num_attention_heads"),
        ("hidden_dim", "intermediate_size"),
        ("activation", "hidden_act"),
        ("dropout", "hidden_dropout_prob"),
    ] {
        value[to] = value[from].clone();
    }
    value["type_vocab_size"] = 1.into();
    value["layer_norm_eps"] = 1e-12.into();
    if value["initializer_range"].is_null() {
        value["initializer_range"] = 0.02.into();
    }
}

/// DistilBERT's weights under BERT's names, with segments that add nothing.
fn tensors_as_bert(tensors: HashMap<String, Tensor>, hidden: usize) -> Result<HashMap<String, Tensor>> {
    let names = [
        ("distilbert.embeddings", "bert.embeddings"),
        ("distilbert.transformer.layer", "bert.encoder.layer"),
        ("attention.q_lin", "attention.self.query"),
        ("attention.k_lin", "attention.self.key"),
        ("attention.v_lin", "attention.self.value"),
        ("attention.out_lin", "attention.output.dense"),
        ("sa_layer_norm", "attention.output.LayerNorm"),
        ("ffn.lin1", "intermediate.dense"),
        ("ffn.lin2", "output.dense"),
        ("output_layer_norm", "output.LayerNorm"),
    ];
    let renamed = |name: String| names.iter().fold(name, |name, (from, to)| name.replace(from, to));
    let mut tensors: HashMap<String, Tensor> =
        tensors.into_iter().map(|(name, tensor)| (renamed(name), tensor)).collect();
    let nothing = Tensor::zeros((1, hidden), DType::F32, &Device::Cpu)?;
    tensors.insert("bert.embeddings.token_type_embeddings.weight".to_owned(), nothing);
    Ok(tensors)
}

impl Candle {
    fn logits(&self, input: Input) -> Result<Tensor> {
        match (&self.0, input) {
            (Model::Vit(model), Input::Pixels { shape, values }) => {
                model.forward(&Tensor::from_vec(values, &shape, &Device::Cpu)?)
            }
            (model, Input::Tokens { shape, ids, mask }) => {
                let ids = Tensor::from_vec(ids, &shape, &Device::Cpu)?;
                let mask = Tensor::from_vec(mask, &shape, &Device::Cpu)?;
                let segments = ids.zeros_like()?;
                match model {
                    Model::Bert { encoder, head, classifier, distilled } => {
                        let states = encoder.forward(&ids, &segments, Some(&mask))?;
                        let first = head.forward(&states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
                        classifier.forward(&if *distilled { first.relu()? } else { first.tanh()? })
                    }
                    Model::Roberta(model) => model.forward(&ids, &mask, &segments),
                    Model::Deberta(model) => model.forward(&ids, Some(segments), Some(mask)),
                    Model::Vit(_) => candle_core::bail!("a model of images was given texts"),
                }
            }
            (_, Input::Pixels { .. }) => candle_core::bail!("a model of texts was given images"),
        }
    }
}

impl Network for Candle {
    fn run(&self, input: Input) -> std::result::Result<(Vec<f32>, usize), String> {
        let logits = self.logits(input).and_then(|logits| {
            let (_, labels) = logits.dims2()?;
            Ok((logits.flatten_all()?.to_vec1::<f32>()?, labels))
        });
        logits.map_err(|error| error.to_string())
    }

    fn runtime(&self) -> &'static str {
        "candle"
    }
}
