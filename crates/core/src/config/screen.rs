//! What `sprint.toml` says about screening: `[screen]`, `[classifiers.NAME]` and `[review]`.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Problem;
use super::sprint::{
    MOST_AT_ONCE, NAME, SprintConfig, default_concurrency, default_retries, default_timeout_s, is_name, known,
};

/// The classifiers of texts that are known by name.
pub const TEXT_CLASSIFIERS: &[&str] = &["lexicon", "nsfw-prompt-detector", "nsfw-text-classifier"];

/// The classifiers of images that are known by name.
pub const IMAGE_CLASSIFIERS: &[&str] =
    &["open-nsfw", "falconsai-nsfw", "adamcodd-nsfw", "michalmlodawski-nsfw-large"];

/// The engines of `[classifiers.NAME]`.
const CLASSIFIER_ENGINES: &[&str] = &["openai-moderation", "huggingface", "chat", "folder"];

/// What screens texts and images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScreenConfig {
    /// Classifiers of prompts and variants. Empty: texts are not screened, and that is said.
    pub text: Vec<ClassifierUse>,
    /// Classifiers of images. Empty: images are not screened, and that is said.
    pub image: Vec<ClassifierUse>,
    /// What a positive removes.
    pub removes: Removes,
}

impl Default for ScreenConfig {
    fn default() -> Self {
        Self {
            text: vec![ClassifierUse { name: "lexicon".to_owned(), threshold: None, positive: None }],
            image: Vec::new(),
            removes: Removes::Row,
        }
    }
}

/// What a positive of a classifier removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removes {
    /// The prompt with all that came of it.
    Row,
    /// Just the item.
    Item,
}

/// A classifier by name, with the score from which it counts as positive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierUse {
    /// Its name.
    #[serde(rename = "use")]
    pub name: String,
    /// From which score on it is positive; its own default where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The labels that count as positive; its own where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<Vec<String>>,
}

// By hand and not `untagged`, so that an unknown key inside the braces is still named with its line.
impl<'de> Deserialize<'de> for ClassifierUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            r#use: String,
            #[serde(default)]
            threshold: Option<f64>,
            #[serde(default)]
            positive: Option<Vec<String>>,
        }
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = ClassifierUse;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a classifier's name, or { use = \"name\", threshold = 0.5 }")
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(ClassifierUse { name: name.to_owned(), threshold: None, positive: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let Table { r#use: name, threshold, positive } = table;
                Ok(ClassifierUse { name, threshold, positive })
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

/// A classifier besides the known ones: behind an HTTP API, or in a folder of model files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// `openai-moderation`, `huggingface`, `chat` or `folder`.
    pub engine: String,
    /// The base address, the provider's public one where absent; for `folder`, the folder.
    #[serde(default)]
    pub url: Option<String>,
    /// The model's name there.
    #[serde(default)]
    pub model: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The labels that count as positive; for `openai-moderation` and `chat`, all of them where absent.
    #[serde(default)]
    pub positive: Vec<String>,
    /// From which score on it is positive.
    #[serde(default = "default_threshold")]
    pub threshold: f64,
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
}

fn default_threshold() -> f64 {
    0.5
}

/// How moderators look at what classifiers and annotators have found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewConfig {
    /// How many people must approve every image before it is shown, whatever classifiers say; 0: only what
    /// they leave to people is looked at.
    pub every_image: u32,
    /// How many `toxic_content` answers withdraw a pair.
    pub reports: u32,
    /// How many of a person's reports a day withdraw anything; more are kept for the moderators.
    pub reports_per_day: u32,
}

impl Default for ReviewConfig {
    fn default() -> Self {
        Self { every_image: 0, reports: 1, reports_per_day: 10 }
    }
}

/// Says what is wrong in these three sections, each with the key that it is about.
pub(super) fn problems(config: &SprintConfig) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut check = |good: bool, path: &[&str], message: String| {
        if !good {
            found.push(Problem::new(path, message));
        }
    };
    for (list, path, names) in
        [(&config.screen.text, "text", TEXT_CLASSIFIERS), (&config.screen.image, "image", IMAGE_CLASSIFIERS)]
    {
        let own = config.classifiers.keys().map(String::as_str);
        let names: Vec<&str> = names.iter().copied().chain(own).collect();
        for (place, classifier) in list.iter().enumerate() {
            let twice = list[..place].iter().any(|earlier| earlier.name == classifier.name);
            let place = place.to_string();
            if let Some(problem) = known(&classifier.name, &names) {
                check(false, &["screen", path, &place], problem);
            }
            check(!twice, &["screen", path, &place], format!("`{}` stands twice", classifier.name));
            check(
                classifier.positive.as_ref().is_none_or(|labels| !labels.is_empty()),
                &["screen", path, &place],
                "`positive` names no label, so nothing would ever count".to_owned(),
            );
            let threshold = classifier.threshold.unwrap_or(0.5);
            check(
                (0.0..=1.0).contains(&threshold),
                &["screen", path, &place],
                format!("a threshold of {threshold} is not between 0 and 1"),
            );
        }
    }
    for (name, classifier) in &config.classifiers {
        check(is_name(name), &["classifiers", name], format!("`{name}`: {NAME}"));
        check(
            !TEXT_CLASSIFIERS.contains(&name.as_str()) && !IMAGE_CLASSIFIERS.contains(&name.as_str()),
            &["classifiers", name],
            format!("`{name}` is the name of a known classifier; give yours another one"),
        );
        if let Some(problem) = known(&classifier.engine, CLASSIFIER_ENGINES) {
            check(false, &["classifiers", name, "engine"], problem);
        }
        let needs = |key: &str, engines: &[&str], there: bool| {
            let missing = engines.contains(&classifier.engine.as_str()) && !there;
            (!missing, format!("the engine `{}` needs `{key}`", classifier.engine))
        };
        let (good, message) = needs("url", &["chat", "folder"], classifier.url.is_some());
        check(good, &["classifiers", name], message);
        let (good, message) = needs("model", &["chat", "huggingface"], classifier.model.is_some());
        check(good, &["classifiers", name], message);
        let (good, message) = needs("positive", &["huggingface", "folder"], !classifier.positive.is_empty());
        check(good, &["classifiers", name], message);
        check(
            (0.0..=1.0).contains(&classifier.threshold),
            &["classifiers", name, "threshold"],
            format!("a threshold of {} is not between 0 and 1", classifier.threshold),
        );
        check(
            (1..=MOST_AT_ONCE).contains(&classifier.concurrency) && classifier.timeout_s > 0,
            &["classifiers", name],
            format!("`concurrency` must be 1 to {MOST_AT_ONCE}, and `timeout_s` at least 1"),
        );
    }
    check(config.review.reports > 0, &["review", "reports"], "must be at least 1".to_owned());
    check(
        config.review.every_image <= 100,
        &["review", "every_image"],
        "more than 100 people for each image".to_owned(),
    );
    found
}
