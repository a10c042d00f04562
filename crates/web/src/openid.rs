//! Signing in through an OpenID Connect provider: authorization code with PKCE, state and nonce.
//!
//! The browser that begins gets a secret in a cookie, and everything that belongs to this sign-in follows from
//! it: the state and the nonce, which the provider sends back, and the verifier of PKCE, which it is shown at
//! the end. So the server keeps no more than the secret's hash, and each sign-in ends once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diptych_core::Name;
use diptych_core::config::OpenIdConfig;
use diptych_engine::chain;
use diptych_stages::phrase::Phrase;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use url::Url;

/// How long what a provider says of itself is believed.
const FRESH: Duration = Duration::from_secs(3600);

/// For how long a provider that is away is not asked again.
const AWAY: Duration = Duration::from_secs(5);

/// How long a provider is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why somebody was not signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody knows whether they may: the provider does not answer, or not as agreed.
    Unknown(Phrase),
    /// The provider does not vouch for them, or what came is not from it.
    Refused(Refusal),
}

/// Why a provider does not vouch for somebody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another browser began, or nobody did lately.
    #[error("the sign-in was not begun in this browser, or it is over")]
    Stale,
    /// The person said no there.
    #[error("the provider was not asked, or the person said no")]
    SaidNo,
    /// Somebody had the code already.
    #[error("the provider does not take the code: it is used up, or too old")]
    UsedUp,
    /// It does not come from there.
    #[error("what came is not from the provider: {0}")]
    Forged(String),
}

impl Refusal {
    /// The name of its words.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Stale => "refused_stale",
            Self::SaidNo => "refused_no",
            Self::UsedUp => "refused_used_up",
            Self::Forged(_) => "refused_forged",
        }
    }
}

/// Whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The provider, as it calls itself.
    pub(crate) issuer: String,
    /// The person there; never given to somebody else.
    pub(crate) subject: String,
    /// What it calls them.
    pub(crate) name: Name,
}

/// A provider that this server asks.
pub(crate) struct Provider {
    pub(crate) key: String,
    pub(crate) name: String,
    issuer: String,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    scopes: Vec<Scope>,
    http: reqwest::Client,
    known: Mutex<Option<Known>>,
}

/// What a provider has said of itself, or why it did not, and when.
struct Known {
    at: Instant,
    said: Result<Arc<CoreProviderMetadata>, Phrase>,
}

/// The secret of one browser's sign-in, and what follows from it.
pub(crate) struct Begun<'s>(pub(crate) &'s str);

impl Begun<'_> {
    fn derived(&self, what: &str) -> String {
        hex::encode(Sha256::digest(format!("{what}\0{}", self.0)))
    }

    /// What the provider must send back.
    pub(crate) fn state(&self) -> String {
        self.derived("state")
    }

    fn nonce(&self) -> Nonce {
        Nonce::new(self.derived("nonce"))
    }

    fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("verifier"))
    }
}

impl Provider {
    /// # Errors
    /// Where no HTTPS client can be made.
    pub(crate) fn new(
        key: &str,
        config: &OpenIdConfig,
        secret: Option<String>,
    ) -> Result<Self, reqwest::Error> {
        diptych_engine::tls::init();
        let http = reqwest::Client::builder()
            // It must not lead us to places inside our own network.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()?;
        Ok(Self {
            key: key.to_owned(),
            name: config.name.clone(),
            issuer: config.issuer.clone(),
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: secret.map(ClientSecret::new),
            scopes: config.scopes.iter().cloned().map(Scope::new).collect(),
            http,
            known: Mutex::new(None),
        })
    }

    /// What it has not said, for organizers.
    fn why(&self, words: &'static str, error: &impl ToString) -> Phrase {
        Phrase::new(words).with("provider", &self.name).with("error", error)
    }

    fn unknown(&self, words: &'static str, error: &impl ToString) -> Failure {
        Failure::Unknown(self.why(words, error))
    }

    /// A provider that sends somebody back with this code of an error, which is its own affair.
    pub(crate) fn answered(&self, code: &str) -> Failure {
        let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        self.unknown("why_answered", &code)
    }

    /// What the provider says of itself, asked again now and then, or where its keys have changed. One asks at a time; a
    /// provider that is away is not asked again for a moment, so that nobody waits for those before them, and what it
    /// said last goes on.
    async fn metadata(&self, anew: bool) -> Result<Arc<CoreProviderMetadata>, Failure> {
        let mut known = self.known.lock().await;
        if let Some(Known { at, said }) = &*known {
            match said {
                Ok(metadata) if !anew && at.elapsed() < FRESH => return Ok(Arc::clone(metadata)),
                Err(why) if at.elapsed() < AWAY => return Err(Failure::Unknown(why.clone())),
                _ => {}
            }
        }
        let issuer =
            IssuerUrl::new(self.issuer.clone()).map_err(|error| self.unknown("why_no_address", &error))?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Some(Known { at: Instant::now(), said: Ok(Arc::clone(&metadata)) });
                Ok(metadata)
            }
            Err(error) => {
                let why = self.why("why_away", &chain(&error));
                match known.as_mut() {
                    Some(Known { at, said: Ok(metadata) }) if !anew => {
                        tracing::warn!(
                            error = chain(&error),
                            provider = self.key,
                            "what the provider said last goes on"
                        );
                        *at = Instant::now().checked_sub(FRESH - AWAY).unwrap_or(*at);
                        Ok(Arc::clone(metadata))
                    }
                    // It serves those whose keys it has.
                    Some(Known { said: Ok(_), .. }) => Err(Failure::Unknown(why)),
                    _ => {
                        *known = Some(Known { at: Instant::now(), said: Err(why.clone()) });
                        Err(Failure::Unknown(why))
                    }
                }
            }
        }
    }

    /// Where the browser is sent.
    pub(crate) async fn begin(&self, begun: &Begun<'_>, back: &str) -> Result<Url, Failure> {
        let metadata = self.metadata(false).await?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
        )
        .set_redirect_uri(self.back(back)?);
        let (state, nonce) = (CsrfToken::new(begun.state()), begun.nonce());
        let (url, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&begun.verifier()))
            .url();
        Ok(url)
    }

    fn back(&self, back: &str) -> Result<RedirectUrl, Failure> {
        RedirectUrl::new(back.to_owned()).map_err(|error| self.unknown("why_no_way_back", &error))
    }

    /// Whom the provider vouches for with this code.
    pub(crate) async fn finish(
        &self,
        begun: &Begun<'_>,
        back: &str,
        code: &str,
    ) -> Result<Identity, Failure> {
        let metadata = self.metadata(false).await?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
        )
        .set_redirect_uri(self.back(back)?);
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| self.unknown("why_no_codes", &error))?
            .set_pkce_verifier(begun.verifier());
        let token = request.request_async(&self.http).await.map_err(|error| match &error {
            RequestTokenError::ServerResponse(said)
                if *said.error() == CoreErrorResponseType::InvalidGrant =>
            {
                Failure::Refused(Refusal::UsedUp)
            }
            RequestTokenError::ServerResponse(said) => self.answered(said.error().as_ref()),
            _ => self.unknown("why_away", &chain(&error)),
        })?;
        let id_token = token.id_token().ok_or_else(|| self.unknown("why_no_token", &""))?;
        let forged = |what: String| Failure::Refused(Refusal::Forged(what));
        // A provider changes its keys now and then: they are looked at again once before a token is taken for forged.
        let newest;
        let (verifier, verified) = match id_token.claims(&client.id_token_verifier(), &begun.nonce()) {
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                newest = CoreClient::from_provider_metadata(
                    (*self.metadata(true).await?).clone(),
                    self.client_id.clone(),
                    self.client_secret.clone(),
                );
                let verifier = newest.id_token_verifier();
                let verified = id_token.claims(&verifier, &begun.nonce());
                (verifier, verified)
            }
            verified => (client.id_token_verifier(), verified),
        };
        let claims = verified.map_err(|error| match error {
            // It has just come from the provider itself.
            ClaimsVerificationError::Expired(_) => self.unknown("why_clock", &error),
            error => forged(error.to_string()),
        })?;
        if let Some(expected) = claims.access_token_hash() {
            let key = id_token.signing_key(&verifier).map_err(|error| forged(error.to_string()))?;
            let algorithm = id_token.signing_alg().map_err(|error| forged(error.to_string()))?;
            let is = AccessTokenHash::from_token(token.access_token(), algorithm, key)
                .map_err(|error| forged(error.to_string()))?;
            if is != *expected {
                return Err(forged("the access token is another one".to_owned()));
            }
        }
        let mut names: Vec<String> = Vec::new();
        names.extend(claims.preferred_username().map(|name| name.to_string()));
        names.extend(claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()));
        if names.is_empty()
            && let Ok(request) =
                client.user_info(token.access_token().clone(), Some(claims.subject().clone()))
        {
            let info: CoreUserInfoClaims = request
                .request_async(&self.http)
                .await
                .map_err(|error| self.unknown("why_nameless", &chain(&error)))?;
            names.extend(info.preferred_username().map(|name| name.to_string()));
            names.extend(info.name().and_then(|name| name.get(None)).map(|name| name.to_string()));
        }
        Ok(Identity {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            name: names.iter().find_map(|name| shortened(name)).unwrap_or_else(Name::someone),
        })
    }
}

/// A provider's name for somebody, cut to what names are here.
fn shortened(name: &str) -> Option<Name> {
    Name::parse(&name.chars().take(diptych_core::name::LONGEST_NAME).collect::<String>()).ok()
}
