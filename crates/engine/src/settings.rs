//! What an engine must be told. Plain data: whoever reads configuration files fills these in.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How an engine may be used, all its callers together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls under way at once; at least 1.
    pub concurrency: usize,
    /// Calls started within a minute, evenly spaced; unlimited where absent.
    pub requests_per_minute: Option<u32>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often a call that failed in passing, or gave nothing usable, is tried again.
    pub retries: u32,
    /// Cancelled when no call may begin any more; those under way go on to their end.
    pub stop: CancellationToken,
}

impl Default for Limits {
    /// 8 at once, two minutes each, 4 retries.
    fn default() -> Self {
        Self {
            concurrency: 8,
            requests_per_minute: None,
            timeout: Duration::from_secs(120),
            retries: 4,
            stop: CancellationToken::new(),
        }
    }
}

/// A chat model behind an API that speaks OpenAI's chat completions.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// What the configuration calls it, for messages.
    pub name: String,
    /// The API's base address, like `https://api.example.org/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// How it may be used.
    pub limits: Limits,
}

/// An image model.
#[derive(Debug, Clone)]
pub struct ImageSettings {
    /// What the configuration calls it, for messages.
    pub key: String,
    /// `rehearsal`, `openai`, `huggingface`, `fal`, `a1111` or `folder`.
    pub engine: String,
    /// The API's base address, the provider's public one where absent; for `folder`, the folder's path.
    pub url: Option<String>,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// How it may be used.
    pub limits: Limits,
}

/// A classifier behind an API.
#[derive(Debug, Clone)]
pub struct ClassifierSettings {
    /// What the configuration calls it, for messages and versions.
    pub name: String,
    /// `openai-moderation`, `huggingface` or `chat`.
    pub engine: String,
    /// The API's base address, the provider's public one where absent.
    pub url: Option<String>,
    /// The model's name there.
    pub model: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// How it may be used.
    pub limits: Limits,
}

impl ClassifierSettings {
    /// What its scores depend on.
    pub fn version(&self) -> String {
        let (url, model) =
            (self.url.as_deref().unwrap_or("public"), self.model.as_deref().unwrap_or("default"));
        format!("{}@{} {url} {model}", self.name, self.engine)
    }

    /// How messages call it.
    pub(crate) fn who(&self) -> String {
        format!("classifier `{}` ({})", self.name, self.engine)
    }
}

impl ChatSettings {
    /// How messages call it.
    pub(crate) fn who(&self) -> String {
        format!("chat `{}`", self.name)
    }
}

impl ImageSettings {
    /// How messages call it.
    pub(crate) fn who(&self) -> String {
        format!("model `{}` ({})", self.key, self.engine)
    }
}
