//! `sprint.toml`: one effort with one question, one set of image models, one dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::annotate::{AlertsConfig, AnnotateConfig, ChecksConfig};
use super::look::LookConfig;
use super::screen::{ClassifierConfig, ReviewConfig, ScreenConfig};
use super::{Checked, Problem};
use crate::Evolution;

/// A sprint's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SprintConfig {
    /// What the sprint is.
    pub sprint: SprintSection,
    /// Where prompts come from.
    pub collect: CollectConfig,
    /// How they are cleaned.
    #[serde(default)]
    pub clean: CleanConfig,
    /// What screens texts and images.
    #[serde(default)]
    pub screen: ScreenConfig,
    /// What rewrites prompts.
    #[serde(default)]
    pub enhance: EnhanceConfig,
    /// Chat models by name.
    #[serde(default)]
    pub chat: BTreeMap<String, ChatConfig>,
    /// The image models.
    pub models: Vec<ModelConfig>,
    /// What may be spent.
    #[serde(default)]
    pub budget: BudgetConfig,
    /// Which models are compared.
    #[serde(default)]
    pub pair: PairConfig,
    /// How people answer.
    #[serde(default)]
    pub annotate: AnnotateConfig,
    /// How people's answers are measured.
    #[serde(default)]
    pub checks: ChecksConfig,
    /// What the sprint's pages look like.
    #[serde(default)]
    pub look: LookConfig,
    /// When organizers hear of something by themselves.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// Classifiers besides the known ones, by name.
    #[serde(default)]
    pub classifiers: BTreeMap<String, ClassifierConfig>,
    /// How moderators look at what classifiers and annotators have found.
    #[serde(default)]
    pub review: ReviewConfig,
}

/// What the sprint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SprintSection {
    /// Its name in addresses: lower-case letters, digits and `-`.
    pub slug: String,
    /// Its title on pages.
    pub title: String,
    /// The question that people answer.
    #[serde(default = "default_question")]
    pub question: String,
    /// The licence under which its data is published.
    #[serde(default = "default_license")]
    pub license: String,
}

impl SprintSection {
    /// The question where none is configured.
    pub fn usual_question() -> &'static str {
        "Which image is better overall, in prompt adherence, semantics and aesthetics?"
    }
}

fn default_question() -> String {
    SprintSection::usual_question().to_owned()
}

fn default_license() -> String {
    "Apache-2.0".to_owned()
}

/// Where prompts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectConfig {
    /// Files, globs or web addresses, read in this order. Relative paths start at the sprint's folder.
    pub sources: Vec<String>,
    /// The column or field that holds the prompt.
    #[serde(default = "default_column")]
    pub column: String,
    /// At most so many prompts: a seeded sample, not the head.
    #[serde(default)]
    pub limit: Option<u64>,
    /// The seed of that sample.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_column() -> String {
    "prompt".to_owned()
}

fn default_seed() -> u64 {
    42
}

/// How prompts are cleaned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanConfig {
    /// ISO 639-1 codes of the languages that are kept; none: all of them.
    pub languages: Vec<String>,
    /// Jaccard similarity of word trigrams from which two prompts are near duplicates.
    pub near_duplicates: f64,
    /// How long a prompt may be, in characters.
    pub length: LengthConfig,
    /// Keeps every prompt just as it stands, repeats included: for prompts whose images exist already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_all: bool,
    /// Share of the clean prompts that is held out for evaluation: split `test`, never in `train`.
    pub held_out: f64,
    /// The seed of that draw.
    pub seed: u64,
}

impl Default for CleanConfig {
    fn default() -> Self {
        Self {
            languages: vec!["en".to_owned()],
            near_duplicates: 0.8,
            length: LengthConfig::default(),
            keep_all: false,
            held_out: 0.05,
            seed: default_seed(),
        }
    }
}

/// How long a prompt may be, in characters, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthConfig {
    /// The least.
    pub min: usize,
    /// The most.
    pub max: usize,
}

impl Default for LengthConfig {
    fn default() -> Self {
        Self { min: 3, max: 1000 }
    }
}

/// What rewrites prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnhanceConfig {
    /// `rules`; `none`, which sends each prompt as it is; or the name of a `[chat.NAME]`.
    pub engine: String,
    /// The variants that are written of each prompt.
    pub evolutions: Vec<Evolution>,
    /// The seed of categories, wordings and images.
    pub seed: u64,
}

impl Default for EnhanceConfig {
    fn default() -> Self {
        Self { engine: "rules".to_owned(), evolutions: Evolution::ALL.to_vec(), seed: default_seed() }
    }
}

/// A chat model behind an HTTP API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatConfig {
    /// The base address of an API that speaks OpenAI's chat completions.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// How many calls may be under way at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How many calls a minute, shared by all callers.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// How long one call may take, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// How often a call that failed in passing is tried again within one run.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// The longest answer, in tokens.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// The sampling temperature; the server's own where absent.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Money per million tokens.
    #[serde(default)]
    pub price: Option<Price>,
}

pub(super) fn default_concurrency() -> usize {
    8
}

pub(super) fn default_timeout_s() -> u64 {
    120
}

pub(super) fn default_retries() -> u32 {
    5
}

fn default_max_tokens() -> u32 {
    400
}

/// Money per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Sent.
    pub input: f64,
    /// Received.
    pub output: f64,
}

/// An image model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Its short name in tables and column names: lower-case letters, digits and `-`.
    pub key: String,
    /// Its full repository id.
    pub name: String,
    /// `rehearsal`, `openai`, `huggingface`, `fal`, `a1111` or `folder`.
    pub engine: String,
    /// The base address; for `folder`, the folder.
    #[serde(default)]
    pub url: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Width and height, in pixels.
    #[serde(default = "default_size")]
    pub size: (u32, u32),
    /// Sampling steps.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Guidance by evolution.
    #[serde(default)]
    pub guidance: BTreeMap<Evolution, f64>,
    /// How many calls may be under way at once.
    #[serde(default)]
    pub concurrency: Option<usize>,
    /// How many calls a minute, shared by all callers.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// How long one call may take, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// How often a call that failed in passing is tried again within one run.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Money per image.
    #[serde(default)]
    pub price: Option<f64>,
}

fn default_size() -> (u32, u32) {
    (1024, 1024)
}

/// What may be spent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// In the unit of the configured prices; no call is made that would go past it.
    pub max: Option<f64>,
}

/// Which models are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairConfig {
    /// Every two models, or a list of two keys each.
    pub models: ModelPairs,
}

/// Which models are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelPairs {
    /// Every two.
    #[default]
    All,
    /// These.
    Listed(Vec<(String, String)>),
}

impl Serialize for ModelPairs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Listed(pairs) => pairs.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ModelPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrList;
        impl<'de> Visitor<'de> for AllOrList {
            type Value = ModelPairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", or a list of two model keys each, like [[\"dev\", \"sd\"]]")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                if word == "all" {
                    Ok(ModelPairs::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
                let pairs = Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(sequence))?;
                Ok(ModelPairs::Listed(pairs))
            }
        }
        deserializer.deserialize_any(AllOrList)
    }
}

impl SprintConfig {
    /// The pairs of model keys that are compared, in the order of the configuration.
    pub fn model_pairs(&self) -> Vec<(String, String)> {
        match &self.pair.models {
            ModelPairs::Listed(pairs) => pairs.clone(),
            ModelPairs::All => {
                let mut pairs = Vec::new();
                for (place, first) in self.models.iter().enumerate() {
                    for second in &self.models[place + 1..] {
                        pairs.push((first.key.clone(), second.key.clone()));
                    }
                }
                pairs
            }
        }
    }

    /// The model with this key.
    pub fn model(&self, key: &str) -> Option<&ModelConfig> {
        self.models.iter().find(|model| model.key == key)
    }
}

/// What a slug or a key must be, in words.
pub(super) const NAME: &str = "use lower-case letters, digits, `-` and `_`, at most 64";

/// More calls at once than any server takes from one program.
pub(super) const MOST_AT_ONCE: usize = 10_000;

/// The image engines that exist.
const IMAGE_ENGINES: &[&str] = &["rehearsal", "openai", "huggingface", "fal", "a1111", "folder"];

/// ISO 639-1 codes of the languages that clean can tell.
pub const LANGUAGES: &[&str] = &[
    "en", "de", "fr", "es", "pt", "it", "nl", "pl", "tr", "vi", "id", "sv", "da", "cs", "ro", "fi", "hu",
    "ru", "uk", "zh", "ja", "ko", "ar", "hi", "el", "he", "th",
];

/// Whether a text can be a slug or a model's key: lower-case letters, digits, `-` and `_`, at most 64.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && !text.starts_with('-')
}

pub(super) fn known(word: &str, words: &[&str]) -> Option<String> {
    if words.contains(&word) {
        return None;
    }
    let near = super::nearest(word, words).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Some(format!("there is no `{word}` (known: {}){near}", words.join(", ")))
}

impl Checked for SprintConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |good: bool, path: &[&str], message: String| {
            if !good {
                found.push(Problem::new(path, message));
            }
        };
        check(is_name(&self.sprint.slug), &["sprint", "slug"], format!("`{}`: {NAME}", self.sprint.slug));
        check(
            !self.sprint.title.trim().is_empty(),
            &["sprint", "title"],
            "a sprint needs a title".to_owned(),
        );
        check(
            !self.collect.sources.is_empty(),
            &["collect", "sources"],
            "name at least one source".to_owned(),
        );
        check(
            self.collect.limit != Some(0),
            &["collect", "limit"],
            "a limit of 0 leaves no prompt".to_owned(),
        );
        for (place, source) in self.collect.sources.iter().enumerate() {
            check(
                !source.starts_with("hf://"),
                &["collect", "sources", &place.to_string()],
                format!(
                    "`{source}`: datasets on the Hub cannot be read yet; download the file and name it here"
                ),
            );
        }
        let clean = &self.clean;
        check(
            clean.near_duplicates > 0.0 && clean.near_duplicates <= 1.0,
            &["clean", "near_duplicates"],
            format!("{} is not a similarity: it must be above 0 and at most 1", clean.near_duplicates),
        );
        for (place, code) in clean.languages.iter().enumerate() {
            if let Some(problem) = known(&code.to_lowercase(), LANGUAGES) {
                check(false, &["clean", "languages", &place.to_string()], problem);
            }
        }
        check(
            clean.length.min <= clean.length.max && clean.length.max > 0,
            &["clean", "length"],
            format!(
                "nothing can be at least {} and at most {} characters long",
                clean.length.min, clean.length.max
            ),
        );
        check(
            (0.0..1.0).contains(&clean.held_out),
            &["clean", "held_out"],
            format!("{} is not a share: it must be at least 0 and below 1", clean.held_out),
        );
        let enhance = &self.enhance;
        check(
            ["rules", "none"].contains(&enhance.engine.as_str()) || self.chat.contains_key(&enhance.engine),
            &["enhance", "engine"],
            format!("`{0}` is neither `rules` nor `none` nor a section `[chat.{0}]`", enhance.engine),
        );
        check(
            enhance.engine != "none" || enhance.evolutions.len() == 1,
            &["enhance", "evolutions"],
            "with the engine `none` every evolution would be the same text: name one".to_owned(),
        );
        let evolutions: BTreeSet<_> = enhance.evolutions.iter().collect();
        check(
            !evolutions.is_empty() && evolutions.len() == enhance.evolutions.len(),
            &["enhance", "evolutions"],
            "name each of `simplified` and `quality` at most once, and at least one".to_owned(),
        );
        for (name, chat) in &self.chat {
            check(
                chat.url.starts_with("http://") || chat.url.starts_with("https://"),
                &["chat", name, "url"],
                format!("`{}` is not an http:// or https:// address", chat.url),
            );
            check(
                (1..=MOST_AT_ONCE).contains(&chat.concurrency),
                &["chat", name, "concurrency"],
                format!("must be 1 to {MOST_AT_ONCE}"),
            );
            check(chat.timeout_s > 0, &["chat", name, "timeout_s"], "must be at least 1 second".to_owned());
            let price = chat.price.unwrap_or(Price { input: 0.0, output: 0.0 });
            check(
                price.input >= 0.0 && price.output >= 0.0,
                &["chat", name, "price"],
                "cannot be negative".to_owned(),
            );
        }
        check(self.models.len() >= 2, &["models"], "a comparison needs at least two models".to_owned());
        let mut keys = BTreeSet::new();
        for (place, model) in self.models.iter().enumerate() {
            let place = place.to_string();
            check(is_name(&model.key), &["models", &place, "key"], format!("`{}`: {NAME}", model.key));
            check(
                keys.insert(&model.key),
                &["models", &place, "key"],
                format!("the key `{}` stands twice; give each model its own", model.key),
            );
            if let Some(problem) = known(&model.engine, IMAGE_ENGINES) {
                check(false, &["models", &place, "engine"], problem);
            }
            if model.engine == "rehearsal" {
                check(
                    ["rehearsal/noto", "rehearsal/fluent"].contains(&model.name.as_str()),
                    &["models", &place, "name"],
                    format!(
                        "a rehearsal is named rehearsal/noto or rehearsal/fluent, not `{}`: its pictures are no model's",
                        model.name
                    ),
                );
            }
            let needs_url = ["a1111", "folder"].contains(&model.engine.as_str());
            check(
                !needs_url || model.url.is_some(),
                &["models", &place, "url"],
                format!("the engine `{}` needs a url", model.engine),
            );
            let (width, height) = model.size;
            check(
                (64..=4096).contains(&width) && (64..=4096).contains(&height),
                &["models", &place, "size"],
                format!("{width}×{height}: each side must be 64 to 4096 pixels"),
            );
            check(
                model.price.unwrap_or(0.0) >= 0.0,
                &["models", &place, "price"],
                "cannot be negative".to_owned(),
            );
            check(
                (1..=MOST_AT_ONCE).contains(&model.concurrency.unwrap_or(1)),
                &["models", &place, "concurrency"],
                format!("must be 1 to {MOST_AT_ONCE}"),
            );
            check(
                model.timeout_s > 0,
                &["models", &place, "timeout_s"],
                "must be at least 1 second".to_owned(),
            );
        }
        if let ModelPairs::Listed(pairs) = &self.pair.models {
            let mut seen = BTreeSet::new();
            for (place, (first, second)) in pairs.iter().enumerate() {
                let place = place.to_string();
                for key in [first, second] {
                    check(
                        keys.contains(key),
                        &["pair", "models", &place],
                        format!("there is no model `{key}`"),
                    );
                }
                let sorted = if first < second { (first, second) } else { (second, first) };
                check(
                    first != second && seen.insert(sorted),
                    &["pair", "models", &place],
                    format!("`{first}` and `{second}` are not two different models that stand here once"),
                );
            }
            check(
                !pairs.is_empty(),
                &["pair", "models"],
                "name at least one pair of models, or \"all\"".to_owned(),
            );
        }
        check(self.budget.max.unwrap_or(0.0) >= 0.0, &["budget", "max"], "cannot be negative".to_owned());
        found.extend(self.annotate.problems());
        found.extend(self.checks.problems());
        found.extend(self.alerts.problems());
        found.extend(super::screen::problems(self));
        found
    }
}
