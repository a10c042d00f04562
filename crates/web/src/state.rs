//! What handlers share.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use diptych_core::config::{ModelConfig, Names, ServerConfig};
use diptych_core::{PersonId, Role, SprintId};
use diptych_headers::Client;
use diptych_store::people::Person;
use diptych_store::{Blobs, Store};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::gates::{Gate, Gates};
use crate::hosted::HostedSprint;
use crate::kept::Kept;
use crate::limits::Limits;
use crate::openid::Provider;
use crate::problem::Problem;
use crate::pulse::Pulse;
use crate::session::CookieRules;

/// Why a server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A provider's secret is not in the environment.
    #[error("set the environment variable {variable}: [sign_in.openid.{key}] keeps its secret there")]
    NoSecret {
        /// The variable.
        variable: String,
        /// The provider's key.
        key: String,
    },
    /// The system's certificates cannot be used.
    #[error("no HTTPS client can be made for signing in")]
    Https(#[from] reqwest::Error),
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    blobs: Blobs,
    sprints: RwLock<BTreeMap<String, Arc<HostedSprint>>>,
    /// Where new sprints are put: the folder of `diptych.toml`, where there is one.
    folder: Option<PathBuf>,
    pulse: Pulse,
    /// Cancelled when the server is to end: what never ends by itself ends then.
    stopping: CancellationToken,
    config: ServerConfig,
    providers: Vec<Provider>,
    limits: Limits,
    gates: Gates,
    ready: Kept<()>,
    /// Who is known to have agreed to which terms: asked at every taking of pairs, and never taken back.
    agreed: RwLock<HashSet<(PersonId, SprintId, String)>>,
    /// Only so many pictures are encoded at once, so that answers are not kept waiting.
    encoders: tokio::sync::Semaphore,
}

impl App {
    /// A server of these sprints. `folder` is the one in which new sprints are begun, where that is wanted; `secret`
    /// says what stands in an environment variable.
    ///
    /// # Errors
    /// Where a provider's secret is not there, or no HTTPS client can be made.
    pub fn new(
        store: Store,
        blobs: Blobs,
        sprints: impl IntoIterator<Item = HostedSprint>,
        config: &ServerConfig,
        folder: Option<&Path>,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SetUpError> {
        let sprints =
            sprints.into_iter().map(|sprint| (sprint.config().sprint.slug.clone(), Arc::new(sprint)));
        let sprints = RwLock::new(sprints.collect());
        let encoders =
            tokio::sync::Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
        let mut providers = Vec::new();
        for (key, provider) in &config.sign_in.openid {
            let found =
                match &provider.client_secret_env {
                    None => None,
                    Some(variable) => Some(secret(variable).ok_or_else(|| SetUpError::NoSecret {
                        variable: variable.clone(),
                        key: key.clone(),
                    })?),
                };
            providers.push(Provider::new(key, provider, found)?);
        }
        let (limits, gates, agreed) = (Limits::new(&config.limits), Gates::default(), RwLock::default());
        let config = config.clone();
        let (folder, pulse, stopping) =
            (folder.map(Path::to_owned), Pulse::default(), CancellationToken::new());
        let inner = Inner {
            store,
            blobs,
            sprints,
            folder,
            pulse,
            stopping,
            config,
            providers,
            limits,
            gates,
            ready: Kept::default(),
            agreed,
            encoders,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.inner.pulse
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// Where new sprints are put, where people may propose any.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.inner.folder.as_deref()
    }

    /// The image models that proposals may choose from, as `diptych.toml` names them.
    pub(crate) fn engines(&self) -> &[ModelConfig] {
        &self.inner.config.engines
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.inner.gates
    }

    /// What this person is in the sprint; where the database cannot say, that is no refusal.
    pub(crate) async fn role(&self, sprint: &HostedSprint, person: &Person) -> Result<Role, Problem> {
        let role = self.store().role(&sprint.ctx().sprint, &person.id).await;
        self.gates().asked(Gate::Role, role)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn trusted_proxies(&self) -> &[IpNet] {
        &self.inner.config.serve.trusted_proxies
    }

    /// Whether people reach this server through a proxy, as far as its configuration tells.
    pub(crate) fn is_behind_a_proxy(&self) -> bool {
        let serve = &self.inner.config.serve;
        let over_https = serve.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        !serve.trusted_proxies.is_empty() || over_https && serve.tls_certificate.is_none()
    }

    pub(crate) fn names(&self) -> Names {
        self.inner.config.sign_in.names
    }

    pub(crate) fn takes_guests(&self) -> bool {
        self.inner.config.sign_in.guests
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.inner.providers.iter()
    }

    pub(crate) fn provider(&self, key: &str) -> Option<&Provider> {
        self.providers().find(|provider| provider.key == key)
    }

    /// Whether this browser reaches the server over HTTPS, so that its cookies may be kept to that.
    pub(crate) fn is_https(&self, client: Client) -> bool {
        let serve = &self.inner.config.serve;
        let says_so = serve.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        client.https || says_so || serve.tls_certificate.is_some()
    }

    pub(crate) fn cookie_rules(&self, client: Client) -> CookieRules {
        CookieRules { https: self.is_https(client), framed: !self.inner.config.serve.framed_by.is_empty() }
    }

    /// The address under which people reach the server, without a slash at its end: the configured one, or
    /// the one that this request was sent to.
    pub(crate) fn address(&self, client: Client, headers: &HeaderMap) -> String {
        if let Some(url) = &self.inner.config.serve.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if self.is_https(client) { "https" } else { "http" })
    }

    /// Whether the browser calls the server by the name of `public_url`.
    pub(crate) fn is_called_as_configured(&self, headers: &HeaderMap) -> bool {
        let url = self.inner.config.serve.public_url.as_ref().and_then(|url| url::Url::parse(url).ok());
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let called = url::Url::parse(&format!("http://{host}")).ok();
        url.is_some_and(|url| called.is_some_and(|called| called.host() == url.host()))
    }

    pub(crate) fn is_known_to_agree(&self, sprint: &SprintId, person: &PersonId, version: &str) -> bool {
        let agreed = self.inner.agreed.read().unwrap_or_else(PoisonError::into_inner);
        agreed.contains(&(person.clone(), sprint.clone(), version.to_owned()))
    }

    pub(crate) fn remember_agreed(&self, sprint: &SprintId, person: &PersonId, version: &str) {
        /// More than are ever here at once; the database knows all of them.
        const MOST: usize = 100_000;
        let mut agreed = self.inner.agreed.write().unwrap_or_else(PoisonError::into_inner);
        if agreed.len() >= MOST {
            agreed.clear();
        }
        agreed.insert((person.clone(), sprint.clone(), version.to_owned()));
    }

    /// Whether a row and a blob can be written and read, as of a moment ago: anybody may ask again and again.
    pub(crate) async fn is_ready(&self) -> Result<(), Problem> {
        let ready = async {
            self.store().ready().await?;
            Ok(self.blobs().ready().await?)
        };
        self.inner.ready.get(Duration::from_secs(1), ready).await.map(|_| ())
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// What caches may do with a picture: a shared one in front keeps it for a minute, so that a withdrawn one is
    /// gone from there by then.
    pub(crate) fn pictures_cache(&self) -> &'static str {
        match self.inner.config.serve.pictures_url {
            Some(_) => "public, max-age=60, s-maxage=60",
            None => "private, max-age=3600",
        }
    }

    /// Where the picture with this opaque name is fetched.
    pub(crate) fn picture_address(&self, name: &str) -> String {
        let host = self.inner.config.serve.pictures_url.as_deref().unwrap_or_default();
        format!("{}/pictures/{name}", host.trim_end_matches('/'))
    }

    /// Pages may load what this server serves and nothing else, but pictures where they are delivered; nothing
    /// inline; and no other site shows them in a frame but those that the configuration names.
    pub(crate) fn policy(&self) -> String {
        let serve = &self.inner.config.serve;
        let pictures = serve.pictures_url.as_deref().unwrap_or_default().trim_end_matches('/');
        let frames = match serve.framed_by.is_empty() {
            true => "'none'".to_owned(),
            false => {
                serve.framed_by.iter().map(|site| site.trim_end_matches('/')).collect::<Vec<_>>().join(" ")
            }
        };
        format!(
            "default-src 'none'; img-src 'self' data: {pictures}; style-src 'self'; script-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors {frames}; base-uri 'none'"
        )
    }

    pub(crate) fn encoders(&self) -> &tokio::sync::Semaphore {
        &self.inner.encoders
    }

    /// The sprints by slug.
    pub(crate) fn sprints(&self) -> Vec<(String, Arc<HostedSprint>)> {
        let sprints = self.inner.sprints.read().unwrap_or_else(PoisonError::into_inner);
        sprints.iter().map(|(slug, sprint)| (slug.clone(), Arc::clone(sprint))).collect()
    }

    /// Hosts one more, unless there is one of that slug.
    pub(crate) fn host(&self, sprint: HostedSprint) {
        let slug = sprint.config().sprint.slug.clone();
        let mut sprints = self.inner.sprints.write().unwrap_or_else(PoisonError::into_inner);
        sprints.entry(slug).or_insert_with(|| Arc::new(sprint));
    }

    /// The sprint with this id, where this server hosts it.
    pub(crate) fn sprint_of(&self, id: Option<&SprintId>) -> Option<Arc<HostedSprint>> {
        self.sprints().into_iter().map(|(_, sprint)| sprint).find(|sprint| Some(&sprint.ctx().sprint) == id)
    }

    pub(crate) fn sprint(&self, slug: &str) -> Result<Arc<HostedSprint>, Problem> {
        let sprints = self.inner.sprints.read().unwrap_or_else(PoisonError::into_inner);
        let found = sprints.get(slug).map(Arc::clone);
        found.ok_or_else(|| Problem::not_found(format!("There is no sprint `{slug}`.")))
    }
}
