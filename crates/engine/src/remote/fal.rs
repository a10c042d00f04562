//! fal's queue: put a request in, look after it, fetch the result, fetch the picture.
//!
//! Format: <https://fal.ai/docs/documentation/model-apis/inference/queue>, errors:
//! <https://fal.ai/docs/documentation/model-apis/errors>. A request in the queue is paid for when it
//! runs, so a look that fails in passing is taken again instead of asking for a second picture.

use std::time::Duration;

use async_trait::async_trait;
use diptych_reply::Reply;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::http::{MOST_IMAGE_TEXT, MOST_TEXT, Scheme, Server};
use super::picture::{from_address, sent_seed};
use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

const PUBLIC: &str = "https://queue.fal.run";

/// The first look comes after this; each later one after half as much again, up to [`SLOWEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(200);
const SLOWEST_LOOK: Duration = Duration::from_secs(2);

/// How many looks in a row may fail in passing.
const FAILED_LOOKS: u32 = 5;

/// An image model.
pub(crate) struct Fal {
    server: Server,
    model: String,
    timeout: Duration,
}

/// Takes a request out of the queue when its caller gives up: nobody will fetch what it would cost.
struct Queueing<'a> {
    server: &'a Server,
    cancel_url: Option<Url>,
}

impl Drop for Queueing<'_> {
    fn drop(&mut self) {
        if let Some(url) = self.cancel_url.take() {
            self.server.put_unwatched(url);
        }
    }
}

impl Fal {
    /// Gets ready; speaks to nobody yet.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let url = settings.url.as_deref().unwrap_or(PUBLIC);
        let server = Server::new(settings.who(), url, settings.api_key_env.as_deref(), Scheme::Key)?;
        Ok(Self { server, model: settings.model.clone(), timeout: settings.limits.timeout })
    }

    /// Waits until the request has run.
    async fn wait(&self, status_url: Url) -> Result<(), EngineError> {
        let mut pause = FIRST_LOOK;
        loop {
            sleep(pause).await;
            let status: Status = self.look(status_url.clone(), MOST_TEXT).await?.json()?;
            match status.status.as_str() {
                "COMPLETED" => return Ok(()),
                "IN_QUEUE" | "IN_PROGRESS" => pause = pause.mul_f64(1.5).min(SLOWEST_LOOK),
                other => {
                    return Err(EngineError::unusable(format!(
                        "{} has a request in the state {}",
                        self.server.who(),
                        self.server.quoted(other)
                    )));
                }
            }
        }
    }

    async fn look(&self, url: Url, most: usize) -> Result<Reply, EngineError> {
        let mut failed = 0;
        loop {
            match self.server.get(url.clone(), most).await {
                Err(EngineError::Transient { retry_after, .. }) if failed < FAILED_LOOKS => {
                    failed += 1;
                    sleep(retry_after.unwrap_or(SLOWEST_LOOK)).await;
                }
                done => return done,
            }
        }
    }
}

fn body(request: &ImageRequest) -> Value {
    let mut body = json!({
        "prompt": request.prompt,
        "image_size": {"width": request.width, "height": request.height},
        "num_images": 1,
        "seed": sent_seed(request.seed),
    });
    if let Some(steps) = request.steps {
        body["num_inference_steps"] = steps.into();
    }
    if let Some(guidance) = request.guidance {
        body["guidance_scale"] = guidance.into();
    }
    body
}

#[derive(Deserialize)]
struct Queued {
    request_id: String,
    status_url: String,
    response_url: String,
    cancel_url: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

#[derive(Deserialize)]
struct Output {
    images: Vec<Image>,
    seed: Option<u64>,
    #[serde(default)]
    has_nsfw_concepts: Vec<bool>,
}

#[derive(Deserialize)]
struct Image {
    url: String,
}

#[async_trait]
impl ImageMaker for Fal {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let who = self.server.who();
        // A request that no machine has begun by then is not begun at all.
        let mut headers = HeaderMap::new();
        headers.insert("x-fal-request-timeout", HeaderValue::from(self.timeout.as_secs().max(1)));
        let url = self.server.address(&self.model);
        let queued: Queued = self.server.post_with(url, &body(request), headers, MOST_TEXT).await?.json()?;
        let (status_url, response_url) =
            (self.server.own_address(&queued.status_url)?, self.server.own_address(&queued.response_url)?);
        let cancel_url = queued.cancel_url.map(|url| self.server.own_address(&url)).transpose()?;
        let mut queueing = Queueing { server: &self.server, cancel_url };
        self.wait(status_url).await?;
        queueing.cancel_url = None;
        // With `sync_mode`, the picture itself stands in the result.
        let output: Output = self.look(response_url, MOST_IMAGE_TEXT).await?.json()?;
        if output.has_nsfw_concepts.contains(&true) {
            return Err(EngineError::refused(format!("{who}: fal's content checker blanked the image")));
        }
        let Some(image) = output.images.into_iter().next() else {
            return Err(EngineError::unusable(format!("{who} answered without an image")));
        };
        let bytes = from_address(&self.server, &image.url).await?;
        let image = made(who, "fal", &self.model, bytes)?;
        let seed = Some(output.seed.unwrap_or_else(|| sent_seed(request.seed)));
        Ok(MadeImage { request_id: Some(queued.request_id), seed, ..image })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        // A request that never was: a good key gets "not found", a bad one "unauthorized".
        let app = self.model.split('/').take(2).collect::<Vec<_>>().join("/");
        let nobody = "00000000-0000-0000-0000-000000000000";
        let url = self.server.address(&format!("{app}/requests/{nobody}/status"));
        let reply = self.server.get_any(url, MOST_TEXT).await?;
        match reply.status.as_u16() {
            200..=299 | 400 | 404 | 422 => Ok(format!("{} answers and takes the key", self.server.host())),
            _ => Err(reply.failure()),
        }
    }
}
