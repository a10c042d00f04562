//! Engines for tests: they do what a closure says and keep what they were asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Chat, ChatReply, ChatRequest, EngineError, Format, ImageMaker, ImageRequest, MadeImage, Usage};

/// What a fake does: given the number of the call, from 0, and the request.
type Script<Request, Reply> = Box<dyn Fn(usize, &Request) -> Result<Reply, EngineError> + Send + Sync>;

/// An engine that follows a script.
pub struct Fake<Request, Reply> {
    script: Script<Request, Reply>,
    delay: Duration,
    calls: Mutex<Vec<Request>>,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// A [`Chat`] that follows a script.
pub type FakeChat = Fake<ChatRequest, ChatReply>;

/// An [`ImageMaker`] that follows a script.
pub type FakeImages = Fake<ImageRequest, MadeImage>;

impl<Request: Clone, Reply> Fake<Request, Reply> {
    /// An engine that answers what the closure says, given the number of the call from 0, and the request.
    pub fn new(
        script: impl Fn(usize, &Request) -> Result<Reply, EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Box::new(script),
            delay: Duration::ZERO,
            calls: Mutex::new(Vec::new()),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// The same, taking its time over each call.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Everything that it was asked, in the order of arrival.
    pub fn calls(&self) -> Vec<Request> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls there were under way at the busiest moment.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    async fn answer(&self, request: &Request) -> Result<Reply, EngineError> {
        struct Leaves<'a>(&'a AtomicUsize);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _leaves = Leaves(&self.running);
        self.most_at_once.fetch_max(running, Ordering::SeqCst);
        let number = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(request.clone());
            calls.len() - 1
        };
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        (self.script)(number, request)
    }
}

#[async_trait]
impl Chat for FakeChat {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        self.answer(request).await
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok("a fake, always there".to_owned())
    }
}

#[async_trait]
impl ImageMaker for FakeImages {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        self.answer(request).await
    }

    async fn probe(&self) -> Result<String, EngineError> {
        Ok("a fake, always there".to_owned())
    }
}

/// A reply of this text, with a token a word.
pub fn chat_reply(text: &str) -> ChatReply {
    let words = u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX);
    ChatReply {
        text: text.to_owned(),
        usage: Usage { input_tokens: 10, output_tokens: words, estimated: false },
        finish_reason: Some("stop".to_owned()),
        refusal: None,
        model: "fake".to_owned(),
        request_id: Some("fake-call".to_owned()),
    }
}

/// A picture of one colour, of the size that was asked for.
///
/// # Errors
/// [`EngineError::Unusable`] where the size is none.
pub fn made_image(request: &ImageRequest, colour: [u8; 3]) -> Result<MadeImage, EngineError> {
    let bytes = diptych_picture::plain_png(request.width, request.height, colour)
        .map_err(|error| EngineError::unusable(error.to_string()))?;
    Ok(MadeImage {
        bytes: Bytes::from(bytes),
        format: Format::Png,
        width: request.width,
        height: request.height,
        provider: "fake",
        model: "fake".to_owned(),
        revision: None,
        request_id: Some("fake-call".to_owned()),
        seed: Some(request.seed),
    })
}
