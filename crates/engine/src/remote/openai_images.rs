//! Image models behind OpenAI's images API, and the many servers that copy it.
//!
//! Format: <https://platform.openai.com/docs/api-reference/images/create>. OpenAI itself takes neither
//! steps nor guidance nor a seed and refuses what it does not know; the others (vLLM-Omni, SGLang, …)
//! take them under the names `num_inference_steps`, `guidance_scale` and `seed`.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{MOST_IMAGE_TEXT, MOST_TEXT, Scheme, Server};
use super::picture::{from_address, from_base64, sent_seed};
use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

const PUBLIC: &str = "https://api.openai.com/v1";

/// An image model.
pub(crate) struct OpenAiImages {
    server: Server,
    model: String,
}

impl OpenAiImages {
    /// Gets ready; speaks to nobody yet.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let url = settings.url.as_deref().unwrap_or(PUBLIC);
        let server = Server::new(settings.who(), url, settings.api_key_env.as_deref(), Scheme::Bearer)?;
        Ok(Self { server, model: settings.model.clone() })
    }

    fn is_openai(&self) -> bool {
        self.server.host() == "api.openai.com"
    }

    fn body(&self, request: &ImageRequest) -> Result<Value, EngineError> {
        let size = format!("{}x{}", request.width, request.height);
        let mut body = json!({"model": self.model, "prompt": request.prompt, "n": 1, "size": size});
        if self.is_openai() {
            if request.steps.is_some() || request.guidance.is_some() {
                return Err(EngineError::setup(format!(
                    "{}: OpenAI's own images API takes neither steps nor guidance; remove `steps` and `guidance`",
                    self.server.who()
                )));
            }
            // Its newer models always send base64 and refuse to be asked for it.
            if self.model.starts_with("dall-e") {
                body["response_format"] = "b64_json".into();
            }
            return Ok(body);
        }
        body["response_format"] = "b64_json".into();
        body["seed"] = sent_seed(request.seed).into();
        if let Some(steps) = request.steps {
            body["num_inference_steps"] = steps.into();
        }
        if let Some(guidance) = request.guidance {
            body["guidance_scale"] = guidance.into();
        }
        Ok(body)
    }
}

#[derive(Deserialize)]
struct Images {
    data: Vec<Image>,
    model: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    b64_json: Option<String>,
    url: Option<String>,
    seed: Option<u64>,
}

#[async_trait]
impl ImageMaker for OpenAiImages {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let body = self.body(request)?;
        let reply =
            self.server.post(self.server.address("images/generations"), &body, MOST_IMAGE_TEXT).await?;
        let images: Images = reply.json()?;
        let who = self.server.who();
        let (bytes, seed) = match images.data.into_iter().next() {
            Some(Image { b64_json: Some(text), seed, .. }) if !text.is_empty() => {
                (from_base64(who, &text)?, seed)
            }
            Some(Image { url: Some(address), seed, .. }) => {
                (from_address(&self.server, &address).await?, seed)
            }
            _ => return Err(reply.unusable("answered without an image")),
        };
        let image = made(who, "openai", images.model.as_deref().unwrap_or(&self.model), bytes)?;
        let sent = (!self.is_openai()).then(|| sent_seed(request.seed));
        Ok(MadeImage { request_id: reply.request_id().or(images.id), seed: seed.or(sent), ..image })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        probe_models(&self.server, &self.model).await
    }
}

/// Asks for the list of models, which costs nothing. Servers that have no such list are there all the same.
pub(crate) async fn probe_models(server: &Server, model: &str) -> Result<String, EngineError> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let host = server.host();
    let reply = server.get_any(server.address("models"), MOST_TEXT).await?;
    let listed = match reply.status.as_u16() {
        404 | 405 | 501 => None,
        200..=299 => reply.json::<Models>().ok(),
        _ => return Err(reply.failure()),
    };
    let Some(models) = listed else {
        return Ok(format!("{host} answers; it has no list of models to look `{model}` up in"));
    };
    if models.data.iter().any(|known| known.id == model) {
        return Ok(format!("{host} answers and has `{model}`"));
    }
    Ok(format!("{host} answers, but `{model}` is not in its list of {} models", models.data.len()))
}
