//! One way to call a server: a key that is never shown, bodies that are never read without bound, and
//! errors that name the engine and the address and say what to do.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use diptych_reply::{Origin, Reply};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use crate::EngineError;

/// The longest text that is read: answers of chat models, states of queues.
pub(crate) const MOST_TEXT: usize = 8 << 20;

/// The longest picture that is read, as a file.
pub(crate) const MOST_IMAGE: usize = 32 << 20;

/// The longest text that holds a picture: four characters stand for three bytes, and some words around.
pub(crate) const MOST_IMAGE_TEXT: usize = MOST_IMAGE / 3 * 4 + (1 << 20);

/// How a provider wants to be shown the key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `Authorization: Key KEY`.
    Key,
    /// `Authorization: Basic …` of `USER:PASSWORD`.
    Basic,
}

impl Scheme {
    /// The form in which the key is sent.
    fn sent(self, key: &str) -> String {
        match self {
            Self::Bearer | Self::Key => key.to_owned(),
            Self::Basic => STANDARD.encode(key),
        }
    }
}

/// A server and how to speak to it.
pub(crate) struct Server {
    origin: Arc<Origin>,
    base: Url,
    client: Client,
    authorization: Option<HeaderValue>,
}

impl Server {
    /// Reads the key from its variable and gets ready; speaks to nobody yet.
    pub(crate) fn new(
        who: String,
        url: &str,
        key_env: Option<&str>,
        scheme: Scheme,
    ) -> Result<Self, EngineError> {
        let base = base_address(&who, url)?;
        let key = key_env.map(|name| read_key(&who, name)).transpose()?;
        let authorization = match (&key, key_env) {
            (Some(key), Some(name)) => Some(header(&who, name, key, scheme)?),
            _ => None,
        };
        crate::tls::init();
        let mut builder = Client::builder()
            .user_agent(concat!("diptych/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::limited(4));
        // A proxy is for other machines.
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            EngineError::setup(format!("{who}: no HTTPS client can be made: {}", root(&error)))
        })?;
        let secrets = key.map_or(Vec::new(), |key| vec![scheme.sent(&key), key]);
        let origin = Arc::new(Origin::new(who, key_env.map(str::to_owned), secrets));
        Ok(Self { origin, base, client, authorization })
    }

    /// How messages call it.
    pub(crate) fn who(&self) -> &str {
        self.origin.who()
    }

    /// What the server says, for a message.
    pub(crate) fn quoted(&self, words: &str) -> String {
        self.origin.quoted(words)
    }

    /// The host of its address.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The address of a path below the base.
    pub(crate) fn address(&self, path: &str) -> Url {
        let mut address = self.base.clone();
        address.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        address
    }

    /// An address that the server itself gave for its next step. Refused on another server: the key goes
    /// with it.
    pub(crate) fn own_address(&self, given: &str) -> Result<Url, EngineError> {
        match Url::parse(given) {
            Ok(url) if url.origin() == self.base.origin() => Ok(url),
            Ok(url) => Err(EngineError::setup(format!(
                "{} at {} continues at another server, {}, which is not sent the key; set `url` to that server",
                self.who(),
                self.base,
                self.quoted(url.host_str().unwrap_or("?"))
            ))),
            Err(_) => {
                let given = self.quoted(given);
                Err(EngineError::unusable(format!("{} gave `{given}` as an address", self.who())))
            }
        }
    }

    /// Sends JSON with the key.
    pub(crate) async fn post(&self, url: Url, body: &Value, most: usize) -> Result<Reply, EngineError> {
        self.send(self.authorized(self.client.post(url.clone())).json(body), &url, most).await
    }

    /// Sends JSON with the key and further headers.
    pub(crate) async fn post_with(
        &self,
        url: Url,
        body: &Value,
        headers: HeaderMap,
        most: usize,
    ) -> Result<Reply, EngineError> {
        self.send(self.authorized(self.client.post(url.clone())).headers(headers).json(body), &url, most)
            .await
    }

    /// Sends bytes with the key and headers that say what they are.
    pub(crate) async fn post_bytes(
        &self,
        url: Url,
        body: Bytes,
        headers: HeaderMap,
        most: usize,
    ) -> Result<Reply, EngineError> {
        self.send(self.authorized(self.client.post(url.clone())).headers(headers).body(body), &url, most)
            .await
    }

    /// Fetches with the key.
    pub(crate) async fn get(&self, url: Url, most: usize) -> Result<Reply, EngineError> {
        self.send(self.authorized(self.client.get(url.clone())), &url, most).await
    }

    /// Fetches with the key, whatever the status.
    pub(crate) async fn get_any(&self, url: Url, most: usize) -> Result<Reply, EngineError> {
        self.exchange(self.authorized(self.client.get(url.clone())), &url, most).await
    }

    /// Fetches without the key: an address that the server gave, anywhere.
    pub(crate) async fn get_plain(&self, url: Url, most: usize) -> Result<Reply, EngineError> {
        self.send(self.client.get(url.clone()), &url, most).await
    }

    /// Sends a `PUT` with the key and does not wait for what comes of it.
    pub(crate) fn put_unwatched(&self, url: Url) {
        let request = self.authorized(self.client.put(url)).timeout(Duration::from_secs(10));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = request.send().await {
                    tracing::debug!(%error, "a courtesy call failed");
                }
            });
        }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(header) => request.header(AUTHORIZATION, header.clone()),
            None => request,
        }
    }

    /// A reply of a success status, or the error that the status means.
    async fn send(&self, request: RequestBuilder, url: &Url, most: usize) -> Result<Reply, EngineError> {
        let reply = self.exchange(request, url, most).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(reply.failure()) }
    }

    async fn exchange(&self, request: RequestBuilder, url: &Url, most: usize) -> Result<Reply, EngineError> {
        let place = self.quoted(&shown(url));
        let mut response = request.send().await.map_err(|error| {
            let what = if error.is_timeout() { "no connection in time".to_owned() } else { root(&error) };
            EngineError::transient(format!("{} at {place} could not be reached: {what}", self.who()))
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Of an error only the beginning is looked at.
        let most = if status.is_success() { most } else { 64 << 10 };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
                Ok(Some(_)) if status.is_success() => {
                    return Err(EngineError::unusable(format!(
                        "{} at {place} sent more than {most} bytes",
                        self.who()
                    )));
                }
                Ok(None | Some(_)) => break,
                Err(error) => {
                    return Err(EngineError::transient(format!(
                        "{} at {place} broke off in the middle of its answer: {}",
                        self.who(),
                        root(&error)
                    )));
                }
            }
        }
        Ok(Reply { origin: Arc::clone(&self.origin), place, status, headers, body: body.freeze() })
    }
}

fn base_address(who: &str, url: &str) -> Result<Url, EngineError> {
    let base = Url::parse(url.trim()).map_err(|error| {
        EngineError::setup(format!(
            "{who}: `{url}` is not an address ({error}); give one like https://api.example.org/v1"
        ))
    })?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
        return Err(EngineError::setup(format!("{who}: `{url}` is not an http:// or https:// address")));
    }
    if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
        return Err(EngineError::setup(format!(
            "{who}: the address of {} holds a user, a password or a query; a secret is never in a file: name its environment variable in `api_key_env`",
            base.host_str().unwrap_or_default()
        )));
    }
    Ok(base)
}

fn read_key(who: &str, name: &str) -> Result<String, EngineError> {
    match std::env::var(name) {
        Ok(key) if !key.trim().is_empty() => Ok(key.trim().to_owned()),
        _ => Err(EngineError::setup(format!(
            "{who}: the environment variable {name} is not set; it should hold the API key"
        ))),
    }
}

fn header(who: &str, name: &str, key: &str, scheme: Scheme) -> Result<HeaderValue, EngineError> {
    let word = match scheme {
        Scheme::Bearer => "Bearer",
        Scheme::Key => "Key",
        Scheme::Basic => "Basic",
    };
    let text = format!("{word} {}", scheme.sent(key));
    let mut header = HeaderValue::from_str(&text).map_err(|_| {
        EngineError::setup(format!(
            "{who}: the value of the environment variable {name} cannot be a key: it has characters that no header takes"
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// An address as messages show it: without the query, where signatures stand.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// The innermost cause: "connection refused" and not "error sending request".
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
