//! Chat models behind OpenAI's chat completions API, which nearly every server speaks.
//!
//! Format: <https://platform.openai.com/docs/api-reference/chat/create>.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{MOST_TEXT, Scheme, Server};
use crate::{Chat, ChatReply, ChatRequest, ChatSettings, EngineError, Usage};

/// A chat model.
pub(crate) struct OpenAiChat {
    server: Server,
    model: String,
}

impl OpenAiChat {
    /// Gets ready; speaks to nobody yet.
    pub(crate) fn new(settings: &ChatSettings) -> Result<Self, EngineError> {
        let server =
            Server::new(settings.who(), &settings.url, settings.api_key_env.as_deref(), Scheme::Bearer)?;
        Ok(Self { server, model: settings.model.clone() })
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    model: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
    refusal: Option<String>,
}

/// Text, or a list of parts of which those of the type `text` have some.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[async_trait]
impl Chat for OpenAiChat {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError> {
        let body = self.body(request);
        let reply = self.server.post(self.server.address("chat/completions"), &body, MOST_TEXT).await?;
        let completion: Completion = reply.json()?;
        let Some(choice) = completion.choices.into_iter().next() else {
            return Err(reply.unusable("answered with no choice"));
        };
        let text = match choice.message.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
            None => String::new(),
        };
        Ok(ChatReply {
            usage: usage(completion.usage.as_ref(), request, &text),
            text,
            finish_reason: choice.finish_reason,
            refusal: choice.message.refusal.filter(|words| !words.trim().is_empty()),
            model: completion.model.unwrap_or_else(|| self.model.clone()),
            request_id: reply.request_id().or(completion.id),
        })
    }

    async fn probe(&self) -> Result<String, EngineError> {
        super::openai_images::probe_models(&self.server, &self.model).await
    }
}

impl OpenAiChat {
    fn body(&self, request: &ChatRequest) -> Value {
        let mut messages = Vec::new();
        if let Some(system) = &request.system {
            messages.push(json!({"role": "system", "content": system}));
        }
        messages.push(json!({"role": "user", "content": request.user}));
        // OpenAI's own newer models refuse the old name of the limit, other servers do not know the new one.
        let limit =
            if self.server.host() == "api.openai.com" { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({"model": self.model, "messages": messages, limit: request.max_tokens});
        if let Some(temperature) = request.temperature {
            body["temperature"] = temperature.into();
        }
        if let Some(seed) = request.seed {
            body["seed"] = super::picture::sent_seed(seed).into();
        }
        body
    }
}

/// The tokens as the server counts them. A budget must not be evaded by a server that does not count.
fn usage(told: Option<&Tokens>, request: &ChatRequest, text: &str) -> Usage {
    let guess = |bytes: usize| u64::try_from(bytes.div_ceil(3)).unwrap_or(u64::MAX);
    let sent = request.user.len() + request.system.as_ref().map_or(0, String::len);
    let (input, output) = told.map_or((None, None), |told| (told.prompt_tokens, told.completion_tokens));
    Usage {
        input_tokens: input.unwrap_or_else(|| guess(sent)),
        output_tokens: output.unwrap_or_else(|| guess(text.len())),
        estimated: input.is_none() || output.is_none(),
    }
}
