//! Hugging Face's text-to-image: the inference providers behind its router, and dedicated endpoints.
//!
//! `url` names the provider, `https://router.huggingface.co/PROVIDER`: `hf-inference` (the default, few
//! image models), `fal-ai`, `together`, `nebius` or `nscale`; or it is a dedicated endpoint's address.
//! Behind the router each provider keeps its own format and its own names of models, which the Hub
//! translates. Formats: <https://huggingface.co/docs/inference-providers/tasks/text-to-image>,
//! <https://huggingface.co/docs/inference-providers/hub-api>.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use diptych_reply::Reply;
use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::http::{MOST_IMAGE_TEXT, MOST_TEXT, Scheme, Server};
use super::picture::{from_address, from_base64, sent_seed};
use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

const PUBLIC: &str = "https://router.huggingface.co/hf-inference";

/// Whose format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    HfInference,
    Endpoint,
    Fal,
    Together,
    Nebius,
    Nscale,
}

impl Provider {
    /// By the last part of the address's path, as the router has it.
    fn of(url: &Url) -> Self {
        match url.path().trim_end_matches('/').rsplit('/').next() {
            _ if url.host_str().is_some_and(|host| host.ends_with(".endpoints.huggingface.cloud")) => {
                Self::Endpoint
            }
            Some("fal-ai") => Self::Fal,
            Some("together") => Self::Together,
            Some("nebius") => Self::Nebius,
            Some("nscale") => Self::Nscale,
            _ => Self::HfInference,
        }
    }

    /// Its name in the Hub's translation of models; none where the Hub's own names hold.
    fn translated(self) -> Option<&'static str> {
        match self {
            Self::HfInference | Self::Endpoint => None,
            Self::Fal => Some("fal-ai"),
            Self::Together => Some("together"),
            Self::Nebius => Some("nebius"),
            Self::Nscale => Some("nscale"),
        }
    }
}

/// An image model.
pub(crate) struct HuggingFace {
    server: Server,
    provider: Provider,
    model: String,
    /// The model's name at the provider.
    translation: OnceCell<String>,
}

impl HuggingFace {
    /// Gets ready; speaks to nobody yet.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let url = settings.url.as_deref().unwrap_or(PUBLIC);
        let server = Server::new(settings.who(), url, settings.api_key_env.as_deref(), Scheme::Bearer)?;
        let provider = Provider::of(&server.address(""));
        Ok(Self { server, provider, model: settings.model.clone(), translation: OnceCell::new() })
    }

    /// The model's name at the provider, asked of the Hub once.
    async fn model_there(&self) -> Result<&str, EngineError> {
        let Some(provider) = self.provider.translated() else { return Ok(&self.model) };
        self.translation.get_or_try_init(|| self.translate(provider)).await.map(String::as_str)
    }

    async fn translate(&self, provider: &str) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        struct Model {
            #[serde(rename = "inferenceProviderMapping", default)]
            mapping: HashMap<String, Mapping>,
        }
        #[derive(Deserialize)]
        struct Mapping {
            #[serde(rename = "providerId")]
            id: String,
            task: String,
        }
        let mut hub = self.server.address("");
        if hub.host_str() == Some("router.huggingface.co") && hub.set_host(Some("huggingface.co")).is_err() {
            return Err(EngineError::setup(format!("{}: the Hub has no address", self.server.who())));
        }
        hub.set_path(&format!("api/models/{}", self.model));
        hub.set_query(Some("expand=inferenceProviderMapping"));
        let mut model: Model = self.server.get(hub, MOST_TEXT).await?.json()?;
        model.mapping.retain(|_, mapping| mapping.task == "text-to-image");
        model.mapping.remove(provider).map(|mapping| mapping.id).ok_or_else(|| {
            let mut others: Vec<_> = model.mapping.into_keys().collect();
            others.sort();
            EngineError::setup(format!(
                "{}: {provider} does not draw with `{}` (who does: {}); set `url` to https://router.huggingface.co/PROVIDER",
                self.server.who(),
                self.model,
                if others.is_empty() { "nobody".to_owned() } else { self.server.quoted(&others.join(", ")) }
            ))
        })
    }

    fn address(&self, model: &str) -> Url {
        match self.provider {
            Provider::Endpoint => self.server.address(""),
            Provider::HfInference => self.server.address(&format!("models/{model}")),
            Provider::Fal => self.server.address(model),
            Provider::Together | Provider::Nebius | Provider::Nscale => {
                self.server.address("v1/images/generations")
            }
        }
    }

    fn body(&self, request: &ImageRequest, model: &str) -> Result<Value, EngineError> {
        let ImageRequest { prompt, width, height, steps, guidance, .. } = request;
        let seed = sent_seed(request.seed);
        let takes_no = |what: &str| {
            EngineError::setup(format!(
                "{}: this provider takes no {what}; remove `{what}`",
                self.server.who()
            ))
        };
        Ok(without_nulls(match self.provider {
            Provider::HfInference | Provider::Endpoint => {
                json!({"inputs": prompt, "parameters": without_nulls(json!({
                    "width": width, "height": height, "seed": seed,
                    "num_inference_steps": steps, "guidance_scale": guidance,
                }))})
            }
            Provider::Fal => json!({
                "prompt": prompt, "image_size": {"width": width, "height": height}, "seed": seed,
                "num_inference_steps": steps, "guidance_scale": guidance,
            }),
            Provider::Together => json!({
                "model": model, "prompt": prompt, "width": width, "height": height, "seed": seed,
                "steps": steps, "guidance": guidance, "response_format": "base64",
            }),
            Provider::Nebius | Provider::Nscale if guidance.is_some() => return Err(takes_no("guidance")),
            Provider::Nebius => json!({
                "model": model, "prompt": prompt, "width": width, "height": height, "seed": seed,
                "num_inference_steps": steps, "response_format": "b64_json",
            }),
            Provider::Nscale if steps.is_some() => return Err(takes_no("steps")),
            Provider::Nscale => json!({
                "model": model, "prompt": prompt, "size": format!("{width}x{height}"), "seed": seed,
                "response_format": "b64_json",
            }),
        }))
    }

    /// The picture of a reply: the body itself, or in JSON as one of the providers has it.
    async fn picture(&self, reply: &Reply) -> Result<Bytes, EngineError> {
        let kind = reply.header("content-type").unwrap_or_default();
        if !kind.contains("json") && !kind.starts_with("text/") {
            return Ok(reply.body.clone());
        }
        let value: Value = reply.json()?;
        if let Some(text) = value["data"][0]["b64_json"].as_str() {
            return from_base64(self.server.who(), text);
        }
        match value["images"][0]["url"].as_str().or_else(|| value["data"][0]["url"].as_str()) {
            Some(address) => from_address(&self.server, address).await,
            None => Err(reply.unusable("answered without an image")),
        }
    }
}

/// An object without the fields that are null: what is not asked for is not sent.
fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

#[async_trait]
impl ImageMaker for HuggingFace {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let model = self.model_there().await?;
        let body = self.body(request, model)?;
        // The router's own provider takes its word for the format from this.
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("image/png, application/json;q=0.5"));
        let reply = self.server.post_with(self.address(model), &body, headers, MOST_IMAGE_TEXT).await?;
        let image = made(self.server.who(), "huggingface", &self.model, self.picture(&reply).await?)?;
        Ok(MadeImage { request_id: reply.request_id(), seed: Some(sent_seed(request.seed)), ..image })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        let host = self.server.host();
        if let Some(provider) = self.provider.translated() {
            let model = self.model_there().await?;
            return Ok(format!("{host} answers; {provider} has `{}` as `{model}`", self.model));
        }
        // A look at the address draws nothing; it answers 405 or 200 where the model is known.
        let reply = self.server.get_any(self.address(&self.model), MOST_TEXT).await?;
        match reply.status.as_u16() {
            200..=299 | 405 => Ok(format!("{host} answers and knows `{}`", self.model)),
            503 => Ok(format!("{host} answers; `{}` is still to be loaded", self.model)),
            400 | 422 => Ok(format!("{host} answers at the address of `{}`", self.model)),
            _ => Err(reply.failure()),
        }
    }
}
