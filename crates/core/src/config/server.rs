//! `diptych.toml`: what a server keeps where, how it is reached, and how people sign in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Checked, ModelConfig, Problem};

/// A server's configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where rows and blobs are kept.
    pub storage: StorageConfig,
    /// How people's browsers reach it.
    pub serve: ServeConfig,
    /// How people say who they are.
    pub sign_in: SignInConfig,
    /// How much anybody may ask of it.
    pub limits: LimitsConfig,
    /// The image models that proposals of sprints may choose from, each as in a `sprint.toml`; where none is named,
    /// the rehearsals.
    pub engines: Vec<ModelConfig>,
}

/// How people's browsers reach the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// The address that people write, for instance `https://prefs.example.org`: where it is not the one that
    /// the server listens on.
    pub public_url: Option<String>,
    /// The address of a content-delivery host that fetches `/pictures/…` from this server and keeps them for a
    /// minute: where there is one, people's browsers fetch pictures there.
    pub pictures_url: Option<String>,
    /// A file with the certificate chain, in PEM, and one with its key: then the server speaks HTTPS itself.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Sites that may show these pages in a frame, such as `https://huggingface.co`; none by default.
    pub framed_by: Vec<String>,
    /// The networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// How people say who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInConfig {
    /// From where a name alone is enough.
    pub names: Names,
    /// Whether anybody may answer under a name that is made up for them.
    pub guests: bool,
    /// OpenID Connect providers, by the key that stands in their addresses.
    pub openid: BTreeMap<String, OpenIdConfig>,
}

/// From where a name alone is enough: whoever gives a name is that person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// From a private network.
    #[default]
    Private,
    /// From nowhere.
    Never,
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConfig {
    /// How people know it.
    pub name: String,
    /// Its issuer: where `/.well-known/openid-configuration` is found below.
    pub issuer: String,
    /// As which it knows this server.
    pub client_id: String,
    /// The environment variable with the secret, where there is one.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// What is asked of it besides `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

/// How much anybody may ask: so many a second, and four times as many at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Requests a second with which one person changes something.
    pub per_person: u32,
    /// Requests a second from one address (a /64 of IPv6), where many people may sit.
    pub per_address: u32,
    /// Tries to sign in a minute from one address.
    pub sign_ins_a_minute: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { per_person: 20, per_address: 1000, sign_ins_a_minute: 60 }
    }
}

impl ServerConfig {
    /// Takes up what a Hugging Face Space says of itself in the environment: its address, its proxy, and the
    /// Hub as a provider. What the configuration says stands.
    pub fn in_space(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let variable = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        if let Some(host) = variable("SPACE_HOST") {
            self.serve.public_url.get_or_insert_with(|| format!("https://{host}"));
            if self.serve.framed_by.is_empty() {
                // The Hub shows a Space in a frame on its own page.
                self.serve.framed_by.push("https://huggingface.co".to_owned());
            }
            if self.serve.trusted_proxies.is_empty() {
                // A Space is reached through the Hub's proxy alone, which stands in a private network.
                let private = [
                    "10.0.0.0/8",
                    "172.16.0.0/12",
                    "192.168.0.0/16",
                    "100.64.0.0/10",
                    "127.0.0.0/8",
                    "fc00::/7",
                    "::1/128",
                ];
                self.serve.trusted_proxies =
                    private.iter().filter_map(|network| network.parse().ok()).collect();
            }
        }
        if let (Some(client_id), Some(issuer)) =
            (variable("OAUTH_CLIENT_ID"), variable("OPENID_PROVIDER_URL"))
        {
            let scopes = variable("OAUTH_SCOPES").map_or_else(default_scopes, |scopes| {
                scopes.split_whitespace().filter(|scope| *scope != "openid").map(str::to_owned).collect()
            });
            self.sign_in.openid.entry("huggingface".to_owned()).or_insert(OpenIdConfig {
                name: "Hugging Face".to_owned(),
                issuer,
                client_id,
                client_secret_env: Some("OAUTH_CLIENT_SECRET".to_owned()),
                scopes,
            });
        }
    }
}

/// Where rows and blobs are kept. Relative paths start at the server's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    pub database: String,
    /// `file:PATH` or `s3://BUCKET/PREFIX`.
    pub blobs: String,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { database: "sqlite:diptych.db".to_owned(), blobs: "file:blobs".to_owned() }
    }
}

impl Checked for ServerConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let database = &self.storage.database;
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| database.starts_with(scheme)) {
            problems.push(Problem::new(
                &["storage", "database"],
                // The scheme alone: what follows may hold a password.
                format!(
                    "`{}:…` is neither `sqlite:PATH` nor `postgres://USER@HOST/DATABASE`",
                    database.split(':').next().unwrap_or_default()
                ),
            ));
        }
        let blobs = &self.storage.blobs;
        if !["file:", "s3://"].iter().any(|scheme| blobs.starts_with(scheme)) {
            problems.push(Problem::new(
                &["storage", "blobs"],
                format!("`{blobs}` is neither `file:PATH` nor `s3://BUCKET/PREFIX`"),
            ));
        }
        let web = |address: &str| {
            let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', ' ', '@']))
        };
        let host = |address: &str| web(address) && address.trim_end_matches('/').matches('/').count() <= 2;
        for (name, url) in
            [("public_url", &self.serve.public_url), ("pictures_url", &self.serve.pictures_url)]
        {
            if let Some(url) = url.as_ref().filter(|url| !host(url)) {
                problems.push(Problem::new(
                    &["serve", name],
                    format!("`{url}` is no address like `https://prefs.example.org`, without a path"),
                ));
            }
        }
        for (place, site) in self
            .serve
            .framed_by
            .iter()
            .enumerate()
            .filter(|(_, site)| !host(site) || site.contains([';', ',', '\'']))
        {
            problems.push(Problem::new(
                &["serve", "framed_by", &place.to_string()],
                format!("`{site}` is no site like `https://huggingface.co`, without a path"),
            ));
        }
        if self.serve.tls_certificate.is_some() != self.serve.tls_key.is_some() {
            let name = if self.serve.tls_key.is_none() { "tls_certificate" } else { "tls_key" };
            problems.push(Problem::new(
                &["serve", name],
                "HTTPS needs both `tls_certificate` and `tls_key`".to_owned(),
            ));
        }
        let mut keys = std::collections::BTreeSet::new();
        for (place, engine) in self.engines.iter().enumerate() {
            if !super::is_name(&engine.key) || !keys.insert(&engine.key) {
                problems.push(Problem::new(
                    &["engines", &place.to_string(), "key"],
                    format!("`{}`: give each engine a key of its own; {}", engine.key, super::sprint::NAME),
                ));
            }
        }
        for (key, provider) in &self.sign_in.openid {
            let mut problem = |name: &str, what: String| {
                problems.push(Problem::new(&["sign_in", "openid", key, name], what));
            };
            if !super::is_name(key) {
                problem("name", format!("the key `{key}` stands in addresses: {}", super::sprint::NAME));
            }
            if !web(&provider.issuer) {
                problem(
                    "issuer",
                    format!("`{}` is no address like `https://accounts.example.org`", provider.issuer),
                );
            }
            if provider.name.trim().is_empty() {
                problem("name", "people must know where the button leads: write a name".to_owned());
            }
            if provider.client_id.trim().is_empty() {
                problem(
                    "client_id",
                    "the provider knows this server by it: write what it gave you".to_owned(),
                );
            }
        }
        let limits = [
            ("per_person", self.limits.per_person),
            ("per_address", self.limits.per_address),
            ("sign_ins_a_minute", self.limits.sign_ins_a_minute),
        ];
        for (name, _) in limits.iter().filter(|(_, limit)| !(1..=1_000_000).contains(limit)) {
            problems.push(Problem::new(&["limits", name], "write 1 to 1000000".to_owned()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn parse(text: &str) -> Result<ServerConfig, String> {
        ServerConfig::parse("diptych.toml", text, &Overrides::none()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_provider_is_written_in_a_few_lines() {
        let config = parse(
            "[serve]\npublic_url = \"https://prefs.example.org\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
             [sign_in]\nnames = \"never\"\nguests = true\n\
             [sign_in.openid.ours]\nname = \"Ours\"\nissuer = \"https://id.example.org\"\nclient_id = \"x\"\n",
        )
        .unwrap();
        assert_eq!((config.sign_in.names, config.sign_in.guests), (Names::Never, true));
        assert_eq!(config.sign_in.openid["ours"].scopes, ["profile"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, wanted) in [
            ("[serve]\npublic_url = \"prefs.example.org\"", "diptych.toml:2: `serve.public_url`"),
            ("[serve]\npublic_url = \"https://example.org/prefs\"", "without a path"),
            ("[serve]\npictures_url = \"https://a.b/c\"", "`serve.pictures_url`"),
            ("[serve]\ntls_key = \"key.pem\"", "needs both"),
            ("[serve]\nframed_by = [\"https://a.b; script-src *\"]", "diptych.toml:2"),
            ("[serve]\ntrusted_proxies = [\"ten\"]", "diptych.toml:2"),
            ("[sign_in]\nnames = \"always\"", "`private` or `never`"),
            (
                "[sign_in.openid.a]\nname = \"A\"\nissuer = \"a\"\nclient_id = \"x\"",
                "diptych.toml:3: `sign_in.openid.a.issuer`",
            ),
            ("[[engines]]\nkey = \"A B\"\nname = \"a\"\nengine = \"openai\"", "a key of its own"),
            ("[limits]\nper_person = 0", "diptych.toml:2: `limits.per_person`"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_space_says_who_signs_people_in() {
        let space = |name: &str| {
            let value = match name {
                "SPACE_HOST" => "org-prefs.hf.space",
                "OAUTH_CLIENT_ID" => "id",
                "OAUTH_SCOPES" => "openid profile email",
                "OPENID_PROVIDER_URL" => "https://huggingface.co",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut config = ServerConfig::default();
        config.in_space(space);
        assert_eq!(config.serve.public_url.as_deref(), Some("https://org-prefs.hf.space"));
        let provider = &config.sign_in.openid["huggingface"];
        assert_eq!(
            (provider.issuer.as_str(), provider.client_secret_env.as_deref()),
            ("https://huggingface.co", Some("OAUTH_CLIENT_SECRET"))
        );
        assert_eq!(provider.scopes, ["profile", "email"]);
        assert!(
            config
                .serve
                .trusted_proxies
                .iter()
                .any(|network| network.contains(&std::net::IpAddr::from([10, 1, 2, 3])))
        );
        let mut elsewhere = ServerConfig::default();
        elsewhere.in_space(|_| None);
        assert_eq!(elsewhere, ServerConfig::default());
    }
}
