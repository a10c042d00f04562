//! The Stable Diffusion web UI's API (`--api`), also Forge's and SD.Next's.
//!
//! Format: the server's own `/docs`. Asked for a checkpoint that it does not have, such a server
//! silently draws with whichever it has loaded, so the list is looked at first.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::http::{MOST_IMAGE_TEXT, MOST_TEXT, Scheme, Server};
use super::picture::{from_base64, sent_seed};
use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

/// An image model.
pub(crate) struct A1111 {
    server: Server,
    model: String,
    checkpoint: OnceCell<Checkpoint>,
}

/// A checkpoint as the server lists it.
#[derive(Debug, Clone, Deserialize)]
struct Checkpoint {
    /// Its file's name, often with the short hash in brackets.
    title: String,
    model_name: Option<String>,
    hash: Option<String>,
}

impl A1111 {
    /// Gets ready; speaks to nobody yet. A key is `USER:PASSWORD`, as given to `--api-auth`.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let Some(url) = settings.url.as_deref() else {
            return Err(EngineError::setup(format!(
                "{} needs the server's address, like `url = \"http://127.0.0.1:7860\"`",
                settings.who()
            )));
        };
        let server = Server::new(settings.who(), url, settings.api_key_env.as_deref(), Scheme::Basic)?;
        Ok(Self { server, model: settings.model.clone(), checkpoint: OnceCell::new() })
    }

    async fn find_checkpoint(&self) -> Result<Checkpoint, EngineError> {
        let reply = self.server.get_any(self.server.address("sdapi/v1/sd-models"), MOST_TEXT).await?;
        if reply.status == 404 {
            return Err(EngineError::setup(format!(
                "{} at {} has no API; start the web UI with --api",
                self.server.who(),
                reply.place
            )));
        }
        if !reply.status.is_success() {
            return Err(reply.failure());
        }
        let known: Vec<Checkpoint> = reply.json()?;
        choose(&known, &self.model).cloned().ok_or_else(|| {
            let titles: Vec<_> = known.iter().map(|checkpoint| checkpoint.title.as_str()).collect();
            EngineError::setup(format!(
                "{} at {} has not exactly one checkpoint `{}`; it has: {}",
                self.server.who(),
                reply.place,
                self.model,
                if titles.is_empty() { "none".to_owned() } else { titles.join(", ") }
            ))
        })
    }
}

/// The checkpoint of this name: its title, name or hash; or else the only one whose name, without
/// punctuation, begins with the last part of the model's (`…/FLUX.1-dev` finds `flux1-dev-fp8.safetensors`).
fn choose<'a>(known: &'a [Checkpoint], model: &str) -> Option<&'a Checkpoint> {
    let names = |checkpoint: &Checkpoint| {
        [Some(checkpoint.title.clone()), checkpoint.model_name.clone(), checkpoint.hash.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    if let Some(exact) = known.iter().find(|checkpoint| names(checkpoint).iter().any(|name| name == model)) {
        return Some(exact);
    }
    let plain = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    let wanted = plain(model.rsplit('/').next().unwrap_or(model));
    let mut like = known.iter().filter(|checkpoint| {
        !wanted.is_empty() && names(checkpoint).iter().any(|name| plain(name).starts_with(&wanted))
    });
    like.next().filter(|_| like.next().is_none())
}

#[derive(Deserialize)]
struct Drawn {
    images: Vec<String>,
    /// JSON in a string.
    info: Option<String>,
}

#[derive(Default, Deserialize)]
struct Info {
    seed: Option<u64>,
    sd_model_name: Option<String>,
    sd_model_hash: Option<String>,
}

#[async_trait]
impl ImageMaker for A1111 {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let checkpoint = self.checkpoint.get_or_try_init(|| self.find_checkpoint()).await?;
        let url = self.server.address("sdapi/v1/txt2img");
        let reply = self.server.post(url, &body(request, &checkpoint.title), MOST_IMAGE_TEXT).await?;
        let drawn: Drawn = reply.json()?;
        let who = self.server.who();
        let Some(text) = drawn.images.first() else {
            return Err(reply.unusable("answered without an image"));
        };
        // What it says of the picture is welcome, not needed: SD.Next leaves some of it out.
        let info: Info = drawn.info.and_then(|info| serde_json::from_str(&info).ok()).unwrap_or_default();
        let image = made(who, "a1111", &self.model, from_base64(who, text)?)?;
        Ok(MadeImage {
            model: info.sd_model_name.or_else(|| checkpoint.model_name.clone()).unwrap_or(image.model),
            revision: info.sd_model_hash.or_else(|| checkpoint.hash.clone()),
            request_id: reply.request_id(),
            seed: Some(info.seed.unwrap_or_else(|| sent_seed(request.seed))),
            ..image
        })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        let checkpoint = self.find_checkpoint().await?;
        Ok(format!("{} answers and has the checkpoint {}", self.server.host(), checkpoint.title))
    }
}

fn body(request: &ImageRequest, checkpoint: &str) -> Value {
    let mut body = json!({
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "seed": sent_seed(request.seed),
        "batch_size": 1,
        "n_iter": 1,
        "send_images": true,
        "save_images": false,
        "override_settings": {"sd_model_checkpoint": checkpoint},
        // Loading the other checkpoint back after every picture would double the time.
        "override_settings_restore_afterwards": false,
    });
    if let Some(steps) = request.steps {
        body["steps"] = steps.into();
    }
    if let Some(guidance) = request.guidance {
        body["cfg_scale"] = guidance.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_found_by_any_of_its_names_and_never_guessed_between_two() {
        let checkpoint = |title: &str, name: &str| Checkpoint {
            title: title.to_owned(),
            model_name: Some(name.to_owned()),
            hash: Some(format!("{:08x}", title.len())),
        };
        let known = [
            checkpoint("flux1-dev-fp8.safetensors [1be961341b]", "flux1-dev-fp8"),
            checkpoint("sd_xl_base.safetensors [31e35c80fc]", "sd_xl_base"),
            checkpoint("sd_xl_base_vae.safetensors [e6bb9ea85b]", "sd_xl_base_vae"),
        ];
        let title = |model: &str| choose(&known, model).map(|found| found.title.as_str());
        assert_eq!(title("black-forest-labs/FLUX.1-dev"), Some("flux1-dev-fp8.safetensors [1be961341b]"));
        assert_eq!(title("sd_xl_base"), Some("sd_xl_base.safetensors [31e35c80fc]"));
        assert_eq!(title("someone/SD-XL"), None, "two begin so");
        assert_eq!(title("stabilityai/stable-diffusion-3.5-large"), None);
        assert_eq!(title("someone/"), None);
    }
}
